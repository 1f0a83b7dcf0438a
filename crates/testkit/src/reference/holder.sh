# Keeps the namespaces of a lab. When standard input ends, because the lab was dropped or because whoever made
# it is gone, it kills every process of its network namespace. $1 is the namespace that it must never touch.
trap '' INT TERM HUP
own=$(readlink /proc/self/ns/net)
if [ -z "$own" ] || [ "$own" = "$1" ]; then exit 1; fi
echo ready
cat >/dev/null

# Again until nobody is found, as a process may have had a child meanwhile. All are read by one program: a machine that is busy
# takes long to start one for each.
for round in 1 2 3 4 5 6 7 8 9; do
    found=
    list=$(find /proc/[0-9]*/ns/net -maxdepth 0 -printf '%l %h\n' 2>/dev/null)
    while read -r namespace folder; do
        pid=${folder#/proc/}
        pid=${pid%/ns}
        if [ "$namespace" = "$own" ] && [ "$pid" != "$$" ]; then
            kill -KILL "$pid" 2>/dev/null && found=yes
        fi
    done <<END
$list
END
    if [ -z "$found" ]; then exit 0; fi
done
