# Run inside fresh network, mount and UTS namespaces: makes them one machine with a name and an address.
# Given: LAB (private directory), HOST (first part of the name), ADDRESSES (put on lo).
set -eu
PATH=$PATH:/usr/sbin:/sbin

ip link set lo up
for address in $ADDRESSES; do ip addr add "$address/32" dev lo; done
hostname "$HOST"

mkdir -p "$LAB/run" "$LAB/vartmp" "$LAB/varlib" "$LAB/dev"
: >"$LAB/resolv.conf"
: >"$LAB/krb5.conf"
for file in hosts resolv.conf krb5.conf; do
    if [ -e "/etc/$file" ]; then mount --bind "$LAB/$file" "/etc/$file"; fi
done

cp -R /etc/zephyr "$LAB/etc-zephyr"
cp "$LAB/server.list" "$LAB/etc-zephyr/server.list"
mount --bind "$LAB/etc-zephyr" /etc/zephyr
mount --bind "$LAB/vartmp" /var/tmp
mount --bind "$LAB/varlib" /var/lib
mount --bind "$LAB/run" /run
if [ ! -L /var/run ]; then mount --bind "$LAB/run" /var/run; fi

# A /dev of our own, for the sake of /dev/log.
mount -t tmpfs none "$LAB/dev"
for device in null zero full random urandom tty ptmx; do
    : >"$LAB/dev/$device"
    mount --bind "/dev/$device" "$LAB/dev/$device"
done
for folder in pts shm; do
    mkdir "$LAB/dev/$folder"
    if [ -d "/dev/$folder" ]; then mount --bind "/dev/$folder" "$LAB/dev/$folder"; fi
done
ln -s /proc/self/fd "$LAB/dev/fd"
for stream in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${stream#*:}" "$LAB/dev/${stream%:*}"; done
: >"$LAB/dev/log"
mount --bind "$LAB/syslog.socket" "$LAB/dev/log"
mount --move "$LAB/dev" /dev
