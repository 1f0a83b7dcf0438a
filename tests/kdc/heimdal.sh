#!/bin/sh
# Makes a throw-away Kerberos realm and becomes its Heimdal KDC. Takes the parameters of entrypoint.sh, but for
# SESSION_ENCTYPES, PAC and WEAK (this version's tickets carry no PAC), and besides:
#
#   HEIMDAL           directory into which heimdal-kdc and heimdal-clients were unpacked
#
# Makes the same files as entrypoint.sh.
set -eu
umask 077

DOMAIN=${DOMAIN:-$(echo "$REALM" | tr '[:upper:]' '[:lower:]')}
LISTEN=${LISTEN:-127.0.0.1}
MAXLIFE=${MAXLIFE:-10h}
USERS=${USERS:-alice bob carol}
ENCTYPES=${ENCTYPES:-aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96}
here=$(dirname "$0")
kadmin="$HEIMDAL/usr/bin/kadmin.heimdal -l"

mkdir -p "$DATA/db" "$DATA/keytabs" "$DATA/krb5.conf.d"
sed -e "s|@DATA@|$DATA|g" -e "s|@REALM@|$REALM|g" -e "s|@DOMAIN@|$DOMAIN|g" -e "s|@LISTEN@|$LISTEN|g" \
    -e "s|@PORT@|$PORT|g" -e "s|@WEAK@|no|g" "$here/krb5.conf.in" >"$DATA/krb5.conf"
keys=
for enctype in $ENCTYPES; do keys="$keys $enctype:pw-salt"; done
cat >"$DATA/heimdal.conf" <<END
[libdefaults]
    default_realm = $REALM
    dns_lookup_kdc = false
    dns_lookup_realm = false

[kdc]
    database = {
        dbname = $DATA/db/heimdal
        realm = $REALM
        mkey_file = $DATA/db/m-key
        acl_file = $DATA/db/kadmind.acl
        log_file = $DATA/db/log
    }
    ports = $PORT

[kadmin]
    default_keys =$keys

[logging]
    kdc = STDERR
    default = STDERR
END
export KRB5_CONFIG="$DATA/heimdal.conf"

{
    "$HEIMDAL/usr/sbin/kstash" --random-key --key-file="$DATA/db/m-key" -e aes256-cts-hmac-sha1-96
    $kadmin init --realm-max-ticket-life="$MAXLIFE" --realm-max-renewable-life=7d "$REALM"
    $kadmin modify --max-ticket-life="$MAXLIFE" default
    for user in $USERS; do
        $kadmin add --use-defaults --max-ticket-life="$MAXLIFE" --password="$user" "$user"
        $kadmin ext_keytab -k "$DATA/keytabs/$user.keytab" "$user"
    done
    for name in zephyr/zephyr ${PRINCIPALS:-}; do
        case $name in
            zephyr/zephyr) keytab=$DATA/zephyr.keytab ;;
            *) keytab=$DATA/keytabs/$(echo "$name" | tr / _).keytab ;;
        esac
        $kadmin add --use-defaults --random-key "$name"
        $kadmin ext_keytab -k "$keytab" "$name"
    done
} >"$DATA/db/create.log" 2>&1 || { cat "$DATA/db/create.log" >&2; exit 1; }

if [ "${LIFELINE:-}" = stdin ]; then
    exec 3<&0
    { cat <&3 >/dev/null; kill "$$"; } 2>/dev/null &
    exec 3<&- </dev/null
fi
exec "$HEIMDAL/usr/lib/heimdal-servers/kdc" -c "$DATA/heimdal.conf" --addresses="$LISTEN"
