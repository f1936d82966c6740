package staticpod

import (
	"bytes"
	"fmt"
	"net/netip"
	"text/template"

	"viplog/core/frontend"
)

// view is what the texts are filled with.
type view struct {
	frontend.Plan
	Local
	Priority    uint8
	Peers       []netip.Addr
	MonitorPort uint16
	MonitorPath string
	Check       string       // path of the script
	Reload      string       // path of the file that holds the time of Keepalived's next reload
	Refused     string       // path of the file in which Keepalived says why it refuses a configuration
	VIPPrefix   netip.Prefix // the VIP alone: the subnet's route belongs to the node's own address
	Bind        string       // HAProxy's address and port
	Servers     []netip.AddrPort
}

// monitorPath tells whether there is an API server, and alivePath whether HAProxy works at all.
const (
	monitorPath = "/haproxy_monitor"
	alivePath   = "/alive"
)

func viewOf(p frontend.Plan, l Local, o Options) view {
	self, _ := p.Member(l.Address)
	v := view{
		Plan: p, Local: l, Priority: self.Priority, Peers: p.Peers(l.Address), MonitorPort: o.MonitorPort, MonitorPath: monitorPath,
		Check: o.config(fileCheck), Reload: o.run(nameKeepalived, fileReload),
		Refused: o.run(nameKeepalived, fileRefused), VIPPrefix: netip.PrefixFrom(p.VIP, p.VIP.BitLen()),
	}
	// Not the VIP itself, which would need ip_nonlocal_bind where it is not; and not both families, for a node may have no IPv6.
	v.Bind = fmt.Sprintf("*:%d", p.Port)
	if p.VIP.Is6() {
		v.Bind = fmt.Sprintf(":::%d v6only", p.Port)
	}
	for _, b := range p.Backends {
		v.Servers = append(v.Servers, netip.AddrPortFrom(b, frontend.BackendPort))
	}
	return v
}

func fill(text *template.Template, v view) []byte {
	var b bytes.Buffer
	if err := text.Execute(&b, v); err != nil {
		panic(fmt.Sprintf("staticpod: %v", err)) // the texts are our own
	}
	return b.Bytes()
}

func parse(name, text string) *template.Template {
	return template.Must(template.New(name).Parse(text))
}

// keepalivedText is for Keepalived 2.2.7. A script has no weight, so that a failed check is a FAULT: with nopreempt a backup ignores a master whose
// priority fell. A master that is lost is replaced after 3 advertisements and up to a second more for low priorities; without its HAProxy a node has the VIP
// for up to 7 s, in which the kubelet may have started another.
//
// A check that succeeds once is enough (rise 1): nopreempt keeps a node that comes back from taking the VIP of another, so a higher number would
// only lengthen an outage of all.
//
// A member that is alone has neither peers nor check: it advertises by multicast, whom nobody has to hear, and gives the VIP to nobody. A check could
// only take the VIP away from the one node that has it, and delay its return.
var keepalivedText = parse(fileKeepalived, `# Written by viplog, which puts back what is changed here.
global_defs {
  router_id {{.Cluster}}-{{.Address}}
  enable_script_security
  script_user root
  # It has no right to a higher priority, and asks for none.
  max_auto_priority -1
  vrrp_garp_master_repeat {{.GARPRepeat}}
  vrrp_garp_master_delay 5
  # Below a third of the 300 s for which switches remember a MAC.
  vrrp_garp_master_refresh 60
  # After a partition the winner announces, because the loser advertises once more.
  vrrp_garp_lower_prio_repeat {{.GARPRepeat}}
  vrrp_higher_prio_send_advert true
{{- if .Peers}}
  # A node that starts hears a master before it becomes one.
  vrrp_startup_delay 5
{{- end}}
  reload_check_config {{.Refused}}
  reload_time_file {{.Reload}}
}
{{- if .Peers}}
vrrp_script haproxy {
  script "{{.Check}}"
  interval 2
  timeout 1
  rise 1
  fall 3
  init_fail
}
{{- end}}
vrrp_instance control_plane {
  state BACKUP
  nopreempt
  interface {{.Interface}}
  virtual_router_id {{.RouterID}}
  priority {{.Priority}}
  advert_int 1
{{- if .Peers}}
  unicast_src_ip {{.Address}}
  unicast_peer {
{{- range .Peers}}
    {{.}}
{{- end}}
  }
  unicast_fault_no_peer
{{- end}}
  virtual_ipaddress {
    {{.VIPPrefix}} dev {{.Interface}}
  }
{{- if .Peers}}
  track_script {
    haproxy
  }
{{- end}}
}
`)

// checkText needs sh and one of three programs. Its answer takes a second at most, after which Keepalived ends it.
var checkText = parse(fileCheck, `#!/bin/sh
# Written by viplog, which puts back what is changed here.
# Succeeds while the HAProxy of this node has an API server to send to.
unset http_proxy all_proxy ALL_PROXY
url=http://127.0.0.1:{{.MonitorPort}}{{.MonitorPath}}
if command -v curl >/dev/null; then
  exec curl -sf --max-time 1 -o /dev/null "$url"
elif command -v wget >/dev/null; then
  exec wget -q -T 1 -O /dev/null "$url"
fi
exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/{{.MonitorPort}} && printf "GET {{.MonitorPath}} HTTP/1.0\r\n\r\n" >&3 &&
  read -r -t 1 _ code _ <&3 && [ "$code" = 200 ]'
`)

// haproxyText is for HAProxy 2.6.
//
// The old worker of a reload ends with its last connection: clients that use client-go end a watch after 5 to 10 minutes themselves, so
// hard-stop-after cuts only what nobody ends, and mworker-max-reloads bounds how many old workers there are.
//
// What stands still is a watch without events, which is not to be cut: dead clients are found by keep-alives of TCP, within a minute.
//
// In the foreground it tells of servers that come and go without a log of its own.
//
// A node that is lost took its API server with it. Who then takes the VIP over sends a third of the requests there, until that server is known to be down: by
// checks alone up to 8.7 s after the loss, measured, and each request waits for its connection first. So a connection is given up after a second (on
// one segment that is a lost SYN, at least) and tried with another server, and one that fails counts as a failed check: 3.5 s.
//
// A back end is ready where /readyz says so. 401 and 403 are answers of an API server that lets nobody ask without a name: it is there.
var haproxyText = parse(fileHAProxy, `# Written by viplog, which puts back what is changed here.
global
  maxconn 2000
  hard-stop-after 15m
  mworker-max-reloads 4
defaults
  mode tcp
  timeout connect 1s
  timeout client 1m
  timeout server 1m
  timeout tunnel 1h
  timeout client-fin 1s
  timeout check 2s
  option clitcpka
  clitcpka-idle 30s
  clitcpka-intvl 10s
  clitcpka-cnt 3
  option srvtcpka
  srvtcpka-idle 30s
  srvtcpka-intvl 10s
  srvtcpka-cnt 3
  retries 2
  option redispatch 1
  option dontlognull
frontend apiserver
  bind {{.Bind}}
  default_backend masters
frontend health
  mode http
  bind 127.0.0.1:{{.MonitorPort}}
  timeout client 5s
  monitor-uri {{.MonitorPath}}
  acl dead nbsrv(masters) lt 1
  monitor fail if dead
  http-request return status 200 if { path `+alivePath+` }
  http-request deny
backend masters
  option httpchk
  http-check send meth GET uri /readyz
  http-check expect rstatus ^(200|401|403)$
  balance roundrobin
  default-server check check-ssl verify none inter 2s fastinter 1s downinter 1s fall 3 rise 2 observe layer4 error-limit 1 on-error fail-check on-marked-down shutdown-sessions
{{- range .Servers}}
  server {{.Addr}} {{.}}
{{- end}}
`)
