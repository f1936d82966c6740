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
	return says(t, h, proxyModeAt, "/proxyMode", http.StatusOK, mode)
}

// says lets a host have a page, until it is called.
func says(t *testing.T, h *lab.Host, at, page string, code int, text string) (end func()) {
	t.Helper()
	var listener net.Listener
	h.Must(func() (err error) {
		listener, err = net.Listen("tcp", at)
		return err
	})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != page {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
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

func TestKubeProxySaysWhenItHasSynced(t *testing.T) {
	_, _, h := node(t)
	f := Facts{Self: self}
	const id = "kube-proxy/healthz"
	expect(t, looked(t, h, f, "kube-proxy"), id, Skipped, "no kube-proxy answers")
	for _, test := range []struct {
		code  int
		text  string
		level Severity
		says  string
	}{
		{200, `{"healthy":true,"status":{"IPv4":{"healthy":true}}}`, OK, "when it has synced"},
		{503, `{"healthy":true,"nodeEligible":false,"status":{"IPv4":{"healthy":true}}}`, OK, "when it has synced"},
		{503, `{"healthy":false,"status":{"IPv4":{"healthy":false}}}`, Warning, "changes of Services have waited"},
		{200, `{"lastUpdated":"2026-11-01T12:00:00Z","currentTime":"2026-11-01T12:00:00Z"}`, OK, "no time of its syncs"},
		{200, `ok`, Warning, "no kube-proxy"},
	} {
		end := says(t, h, proxyHealthAt, "/healthz", test.code, test.text)
		expect(t, looked(t, h, f, "kube-proxy"), id, test.level, test.says)
		end()
	}
}
