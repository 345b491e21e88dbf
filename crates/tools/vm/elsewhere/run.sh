#!/bin/sh
# Runs the whole chain of plugins on a machine of another architecture: qemu with Debian's kernel,
# its static busybox, and the binary of `cargo xtask dist --target aarch64` or `s390x`.
#
#   crates/tools/vm/elsewhere/run.sh aarch64|s390x
#
# The suite does not run it: the binary takes minutes to build, the machine one or two. Needs root
# and Debian's packages qemu-system-arm or qemu-system-misc, and cpio. Packages of the other
# architecture are unpacked into a temporary directory; apt's own state stays as it is.
set -eu
case ${1-} in
    aarch64)
        debian=arm64 kernel=linux-image-cloud-arm64 console=ttyAMA0
        machine='-machine virt -cpu cortex-a72 -serial stdio' ;;
    s390x)
        debian=s390x kernel=linux-image-s390x console=ttysclp0
        machine='-machine s390-ccw-virtio -cpu max -chardev stdio,id=console -device sclpconsole,chardev=console' ;;
    *)
        echo "usage: $0 aarch64|s390x" >&2
        exit 2 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../../../../Cargo.toml" | head -n 1)
binary=${TWILL_BINARY:-$here/../../../../target/release-archives/twill-$version-linux-$1/twill}
qemu=$(command -v "${QEMU:-qemu-system-$1}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/packages"
touch "$dir/state/status"
foreign() {
    command=$1
    shift
    "$command" -o "APT::Architecture=$debian" -o "APT::Architectures=$debian" \
        -o "Dir::State=$dir/state" -o "Dir::State::status=$dir/state/status" \
        -o "Dir::Cache=$dir/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}
foreign apt-get -qq update
image=$(foreign apt-cache depends "$kernel" | sed -n 's/^ *Depends: //p' | head -n 1)
cd "$dir/packages"
foreign apt-get -qq download "$image" busybox-static
for package in *.deb; do dpkg -x "$package" "$dir/unpacked"; done

root=$dir/root
mkdir -p "$root/bin" "$root/dev" "$root/etc" "$root/modules" "$root/opt" "$root/proc" "$root/root" \
    "$root/run" "$root/sys" "$root/tmp" "$root/usr/bin" "$root/var/lib"
cp "$dir/unpacked/bin/busybox" "$root/bin/busybox"
cp "$binary" "$root/twill"
cp "$here/guest.sh" "$root/guest.sh"
for module in crc32c_generic veth llc stp bridge libcrc32c nfnetlink nf_tables nf_defrag_ipv4 \
    nf_defrag_ipv6 nf_conntrack nf_nat nft_chain_nat nft_masq nft_nat nft_fib nft_fib_ipv4 \
    nft_fib_ipv6 nft_ct nf_conntrack_netlink sch_tbf sch_htb sch_ingress ifb cls_u32 act_mirred; do
    # What is not there is part of the kernel.
    file=$(find "$dir/unpacked/lib/modules" -name "$module.ko")
    [ -z "$file" ] || cp "$file" "$root/modules"
    echo "$module" >>"$root/modules/order"
done
cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox mount -t proc none /proc
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root NO_COLOR=1
mount -t sysfs none /sys
mount -t devtmpfs none /dev
exec </dev/console >/dev/console 2>&1
for module in $(cat /modules/order); do
    [ ! -e "/modules/$module.ko" ] || insmod "/modules/$module.ko"
done
ip link set lo up
cd /root
sh /guest.sh
echo "vm: exit status $?"
poweroff -f
END
chmod 755 "$root/init" "$root/twill"
(cd "$root" && find . | cpio --create --format=newc --owner=0:0 --quiet >"$dir/initramfs")
# shellcheck disable=SC2086
timeout "${LIMIT:-600}" "$qemu" $machine -nodefaults -no-user-config -display none -monitor none \
    -no-reboot -m 1024 -smp 2 -kernel "$dir"/unpacked/boot/vmlinuz-* -initrd "$dir/initramfs" \
    -append "console=$console norandmaps nokaslr mitigations=off audit=0 panic=-1 rdinit=/init quiet" \
    </dev/null | tr -d '\r' | tee "$dir/console"
grep -q '^vm: exit status 0$' "$dir/console"
