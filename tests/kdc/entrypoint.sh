#!/bin/sh
# Makes a throw-away Kerberos realm and becomes its KDC. Serves the container and native runs alike.
#
#   DATA              directory for everything that is made (in the container it may be a bind mount)
#   REALM             name of the realm                                         [ZEPHYR.TEST]
#   DOMAIN            DNS domain that belongs to the realm                      [REALM in lower case]
#   LISTEN, PORT      where the KDC answers, TCP and UDP                        [127.0.0.1, 8888]
#   PAC               off: tickets for zephyr/zephyr carry no PAC               [on]
#   ENCTYPES          key types of every principal, most wanted first           [aes256-, aes128-cts-hmac-sha1-96]
#   SESSION_ENCTYPES  session key types allowed for zephyr/zephyr               [ENCTYPES]
#   WEAK              yes: allow des3 and rc4, too                              [no]
#   MAXLIFE           longest life of a ticket                                  [10h]
#   USERS             people; password = name; keytab in keytabs/NAME.keytab    [alice bob carol]
#   PRINCIPALS        more principals with random keys; / becomes _ in the name of the keytab
#   LIFELINE          stdin: end when standard input ends, that is when whoever started us is gone
#
# Makes: krb5.conf, kdc.conf, zephyr.keytab (zephyr/zephyr), keytabs/, krb5.conf.d/ (extra settings), db/.
set -eu
umask 077
PATH=$PATH:/usr/sbin:/sbin

DATA=${DATA:-/data}
REALM=${REALM:-ZEPHYR.TEST}
DOMAIN=${DOMAIN:-$(echo "$REALM" | tr '[:upper:]' '[:lower:]')}
LISTEN=${LISTEN:-127.0.0.1}
PORT=${PORT:-8888}
PAC=${PAC:-on}
ENCTYPES=${ENCTYPES:-aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96}
WEAK=${WEAK:-no}
MAXLIFE=${MAXLIFE:-10h}
USERS=${USERS:-alice bob carol}
here=$(dirname "$0")

keysalts=
for enctype in $ENCTYPES; do keysalts="$keysalts${keysalts:+ }$enctype:normal"; done

fill() {
    sed -e "s|@DATA@|$DATA|g" -e "s|@REALM@|$REALM|g" -e "s|@DOMAIN@|$DOMAIN|g" -e "s|@LISTEN@|$LISTEN|g" \
        -e "s|@PORT@|$PORT|g" -e "s|@WEAK@|$WEAK|g" -e "s|@MAXLIFE@|$MAXLIFE|g" -e "s|@KEYSALTS@|$keysalts|g" \
        "$here/$1.in" >"$DATA/$1"
}

# The commands for kadmin.local, one a line.
principals() {
    for user in $USERS; do
        echo "addprinc -pw $user $user"
        echo "ktadd -norandkey -k $DATA/keytabs/$user.keytab $user"
    done
    for name in zephyr/zephyr ${PRINCIPALS:-}; do
        case $name in
            zephyr/zephyr) keytab=$DATA/zephyr.keytab ;;
            *) keytab=$DATA/keytabs/$(echo "$name" | tr / _).keytab ;;
        esac
        echo "addprinc -randkey $name"
        echo "ktadd -norandkey -k $keytab $name"
    done
    if [ "$PAC" = off ]; then echo "modprinc +no_auth_data_required zephyr/zephyr"; fi
    # Without this the KDC takes every service to know aes256-cts-hmac-sha1-96, whatever keys it has.
    echo "setstr zephyr/zephyr session_enctypes \"${SESSION_ENCTYPES:-$ENCTYPES}\""
}

mkdir -p "$DATA/db" "$DATA/keytabs" "$DATA/krb5.conf.d"
fill krb5.conf
fill kdc.conf
export KRB5_CONFIG="$DATA/krb5.conf" KRB5_KDC_PROFILE="$DATA/kdc.conf"

if [ ! -e "$DATA/db/stash" ]; then
    kdb5_util -r "$REALM" create -s -P throw-away >"$DATA/db/create.log" 2>&1 || { cat "$DATA/db/create.log" >&2; exit 1; }
    principals | kadmin.local -r "$REALM" -p root/admin >"$DATA/db/principals.log" 2>&1
    # kadmin.local reading commands exits with 0 whatever happens; its errors all read "… while …".
    if grep ' while ' "$DATA/db/principals.log" >&2; then exit 1; fi
fi

if [ "${LIFELINE:-}" = stdin ]; then
    exec 3<&0
    { cat <&3 >/dev/null; kill "$$"; } 2>/dev/null &
    exec 3<&- </dev/null
fi
exec krb5kdc -n -r "$REALM"
