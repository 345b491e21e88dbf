#!/bin/sh
# Runs the plugin that TWILL_PROGRAM names as root without CAP_NET_ADMIN. A busybox shell would
# prefer its own setpriv.
exec /usr/bin/setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$TWILL_PROGRAM"
