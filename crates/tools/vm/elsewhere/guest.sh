# What `run.sh` runs in the machine: containers come, reach each other, are looked at, and go. Each
# line starts with `ok` or `FAILED`.
failed=0
try() {
    what=$1
    shift
    if out=$("$@" 2>&1); then echo "ok      $what"; else failed=1; echo "FAILED  $what: $out"; fi
}

uname -rm
mkdir -p /opt/cni/bin /var/lib/cni /etc/cni/net.d /run/flannel /www
try 'install' /twill install
PATH=/opt/cni/bin:$PATH
cat >/etc/cni/net.d/10-flannel.conflist <<'END'
{"cniVersion": "1.1.0", "name": "cbr0", "plugins": [
    {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
    {"type": "portmap", "capabilities": {"portMappings": true}},
    {"type": "bandwidth", "capabilities": {"bandwidth": true}}
]}
END
cat >/run/flannel/subnet.env <<'END'
FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_IPV6_NETWORK=fd00:244::/48
FLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64
FLANNEL_MTU=1450
FLANNEL_IPMASQ=false
END

# Five namespaces: a machine outside, which knows no way back to containers, and four containers.
namespace() { unshare -n sleep 100000 & }
namespace; outside=$!
namespace; first=$!
namespace; second=$!
namespace; third=$!
namespace; fourth=$!
sleep 2
ip link add out0 type veth
ip link set veth0 name out1
ip link set out1 netns $outside
ip address add 192.0.2.1/24 dev out0
ip link set out0 up
nsenter -t $outside -n ip address add 192.0.2.2/24 dev out1
nsenter -t $outside -n ip link set out1 up

# add NUMBER PID: a container with a host port, limited in both directions.
add() {
    limits='"ingressRate": 80000000, "ingressBurst": 8000000'
    limits="$limits, \"egressRate\": 80000000, \"egressBurst\": 8000000"
    port="{\"hostPort\": 808$1, \"containerPort\": 80, \"protocol\": \"tcp\"}"
    CAP_ARGS="{\"portMappings\": [$port], \"bandwidth\": {$limits}}" \
        twill add cbr0 /proc/$2/ns/net --container c$1
}
echo hello >/www/file
cat >/root/get <<'END'
printf 'GET /file HTTP/1.0\r\n\r\n' | nc -w 10 $1 $2 | grep -q hello
END
inside() { pid=$1; shift; nsenter -t $pid -n "$@"; }

try 'ADD of the first' add 1 $first
try 'ADD of the second' add 2 $second
inside $first httpd -p 80 -h /www
inside $second httpd -p 80 -h /www
try 'container to container' inside $first ping -c1 -W10 10.244.1.3
try 'container to container, IPv6' inside $first ping -c1 -W10 fd00:244:0:1::3
try 'container to node' inside $first ping -c1 -W10 10.244.1.1
try 'container to outside, masqueraded' inside $first ping -c1 -W10 192.0.2.2
try 'host port, from the node' sh /root/get 10.244.1.1 8081
try 'host port, from 127.0.0.1' sh /root/get 127.0.0.1 8082
try 'host port, from outside' inside $outside sh /root/get 192.0.2.1 8082
try 'host port, from its container' inside $first sh /root/get 10.244.1.1 8081
try 'address file' sh -c "printf 'c1\r\neth0' | cmp - /var/lib/cni/networks/cbr0/10.244.1.2"
try 'status' twill status
try 'leases' twill leases
try 'doctor' twill doctor
try 'CHECK of the first' twill check cbr0 /proc/$first/ns/net --container c1
try 'CHECK of the second' twill check cbr0 /proc/$second/ns/net --container c2
try 'STATUS' twill status cbr0
echo '[{"containerID": "c1", "ifname": "eth0"}, {"containerID": "c2", "ifname": "eth0"}]' >valid.json
try 'GC with a list of all' twill gc cbr0 --by-plugins --from ./valid.json --apply
try 'CHECK after GC' twill check cbr0 /proc/$first/ns/net --container c1
try 'DEL of the first' twill del cbr0 /proc/$first/ns/net --container c1
killall httpd
kill $second
sleep 2
try 'gc of the second, which is dead' twill gc --from netns --older-than 0s --apply
try 'no address is left' sh -c '! ls /var/lib/cni/networks/cbr0 | grep -q "^10\\."'
try 'no kept configuration is left' sh -c '[ -z "$(ls /var/lib/cni/flannel)" ]'
try 'no link is left' sh -c '! ip link | grep -qE "veth[a-z0-9]{11}|ifb[a-z0-9]{11}"'

sed -i 's/"delegate"/"ipam": {"backend": "db"}, "delegate"/' /etc/cni/net.d/10-flannel.conflist
rm -f /var/lib/cni/results/*
try 'ADD of the third, database' add 3 $third
try 'ADD of the fourth, database' add 4 $fourth
address=$(inside $fourth ip -4 address show dev eth0 | sed -n 's/.*inet \([0-9.]*\).*/\1/p')
try 'third to fourth' inside $third ping -c1 -W10 $address
try 'leases, database' twill leases
try 'DEL of the third' twill del cbr0 /proc/$third/ns/net --container c3
try 'DEL of the fourth' twill del cbr0 /proc/$fourth/ns/net --container c4
exit $failed
