package main

import (
	"net/netip"
	"slices"

	"viplog/adapters/clusterfile"
	"viplog/adapters/doctor"
	"viplog/adapters/identity"
	"viplog/core/event"
	"viplog/core/frontend"
)

// Names of processes, of which /proc/PID/comm has 15 bytes.
const (
	processViplog    = "viplog"
	processHAProxy   = "haproxy"
	processAPIServer = "kube-apiserver"
)

// ports are those that processes of the load balancer's need on this host: where the identity says what they are, else the defaults.
func (f doctorFlags) ports(facts doctor.Facts, file *clusterfile.File, who *identity.Identity) []doctor.Port {
	self := facts.Self
	if file == nil && who == nil {
		return nil
	}
	any4 := netip.IPv4Unspecified()
	heartbeat, nats, routes := netip.AddrPortFrom(any4, identity.HeartbeatPort), netip.AddrPort{}, netip.AddrPort{}
	if who != nil {
		heartbeat, nats, routes = who.Self.Heartbeat, who.Self.NATS, who.Self.Routes
	} else if isControlPlane(file, self) {
		nats, routes = netip.AddrPortFrom(any4, identity.NATSPort), netip.AddrPortFrom(any4, identity.RoutesPort)
	}
	ports := frontendPorts(facts, f.monitorPort)
	ports = append(ports, doctor.Port{
		ID: "heartbeat", Network: "udp", At: heartbeat, Holder: processViplog, For: "viplog's heartbeats",
		Do: "end that process, or choose another port for all hosts: viplog init --heartbeat-port",
	})
	if nats.IsValid() {
		ports = append(ports,
			doctor.Port{
				ID: "nats", Network: "tcp", At: nats, Holder: processViplog, For: "the log's clients",
				Do: "end that process, or choose another port: viplog init --nats-port",
			},
			doctor.Port{
				ID: "nats-routes", Network: "tcp", At: routes, Holder: processViplog, For: "the log's servers",
				Do: "end that process, or choose another port: viplog init --routes-port",
			})
	}
	return ports
}

// isControlPlane tells whether a host is a control-plane node: there the log has its servers by default.
func isControlPlane(file *clusterfile.File, self netip.Addr) bool {
	return slices.Contains(file.Cluster.Nodes, event.DeclaredNode{Address: self, Role: event.RoleControlPlane})
}

// frontendPorts are those of the control plane's front end, on hosts that have part of it.
func frontendPorts(facts doctor.Facts, monitor uint16) (ports []doctor.Port) {
	if facts.Plan == nil {
		return nil
	}
	if _, carries := facts.Plan.Member(facts.Self); carries {
		ports = append(ports,
			doctor.Port{
				ID: "vip", Network: "tcp", At: netip.AddrPortFrom(netip.IPv6Unspecified(), facts.Plan.Port), Holder: processHAProxy,
				For: "the control plane's VIP (HAProxy)",
				Do:  "end that process, or choose another controlPlaneLBPort; an API server belongs to port 6444 here",
			},
			doctor.Port{
				ID: "monitor", Network: "tcp", At: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), monitor), Holder: processHAProxy,
				For: "HAProxy's health",
				Do:  "end that process, or choose another --monitor-port",
			})
	}
	if slices.Contains(facts.Plan.Backends, facts.Self) {
		ports = append(ports, doctor.Port{
			ID: "api-server", Network: "tcp", At: netip.AddrPortFrom(netip.IPv6Unspecified(), frontend.BackendPort), Holder: processAPIServer,
			For: "the API server behind the VIP",
			Do:  "end that process: the API server has to listen there",
		})
	}
	return ports
}
