//go:build linux

package doctor

import (
	"net"
	"net/http"
	"testing"

	"github.com/vishvananda/netlink"

	"viplog/fixtures/lab"
)

// proxied lets a host's kube-proxy say its mode, until it is called.
func proxied(t *testing.T, h *lab.Host, mode string) (end func()) {
	t.Helper()
	var listener net.Listener
	h.Must(func() (err error) {
		listener, err = net.Listen("tcp", proxyModeAt)
		return err
	})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/proxyMode" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(mode))
	})}
	go func() { _ = server.Serve(listener) }()
	end = func() { _ = server.Close() }
	t.Cleanup(end)
	return end
}

func TestKubeProxyAnswersForNobodysAddress(t *testing.T) {
	_, _, h := node(t)
	f := Facts{Self: self}
	expect(t, looked(t, h, f, "kube-proxy"), "kube-proxy/mode", Skipped, "no kube-proxy answers")
	for _, mode := range []string{"iptables", "nftables"} {
		end := proxied(t, h, mode)
		expect(t, looked(t, h, f, "kube-proxy"), "kube-proxy/mode", OK, "its mode is "+mode)
		end()
	}
	end := proxied(t, h, "ipvs")
	expect(t, looked(t, h, f, "kube-proxy"), "kube-proxy/mode", Skipped, "there is no kube-ipvs0 yet")
	end()

	h.Add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: ipvsLink}})
	h.Addresses(ipvsLink, "10.96.0.1/32", "10.200.0.72/32")
	all := looked(t, h, f, "kube-proxy")
	expect(t, all, "kube-proxy/mode", OK, "ipvs: 2 addresses")
	expect(t, all, "kube-proxy/strict-arp", Error, "answers for every address on kube-ipvs0")
	expect(t, looked(t, h, Facts{}, "kube-proxy"), "kube-proxy/strict-arp", Skipped, "not known")

	sysctl(t, h, "net/ipv4/conf/all/arp_ignore", "1")
	expect(t, looked(t, h, f, "kube-proxy"), "kube-proxy/strict-arp", Warning, "arp_announce is 0")
	sysctl(t, h, "net/ipv4/conf/all/arp_announce", "2")
	well(t, looked(t, h, f, "kube-proxy"))
	expect(t, looked(t, h, f, "kube-proxy"), "kube-proxy/strict-arp", OK, "only who holds an address")
}
