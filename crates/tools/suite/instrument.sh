#!/bin/sh
# Cargo's RUSTC_WORKSPACE_WRAPPER for what counts which of its code runs, in files that are mapped into memory.
exec "$@" -C instrument-coverage -C llvm-args=-runtime-counter-relocation
