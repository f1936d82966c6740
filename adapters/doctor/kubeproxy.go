//go:build linux

package doctor

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// proxyModeAt is where kube-proxy says its mode (--metrics-bind-address, whose default this is).
	proxyModeAt = "127.0.0.1:10249"
	// proxyHealthAt is where kube-proxy says how it stands (--healthz-bind-address).
	proxyHealthAt = "127.0.0.1:10256"
	// ipvsLink is the interface on which kube-proxy has all addresses of Services in mode ipvs.
	ipvsLink = "kube-ipvs0"

	strictARP = "set ipvs.strictARP: true in kube-proxy's configuration, and restart it"
)

// checkKubeProxy looks whether kube-proxy makes this host answer for addresses that others hold: in mode ipvs all of them are on an interface of
// each node, for which Linux answers on any other one unless arp_ignore says not to (metallb #153).
func checkKubeProxy(ctx context.Context, h host, f Facts) []Finding {
	return append(h.checkProxyMode(ctx, f), checkProxyHealth(ctx))
}

// checkProxyHealth looks whether kube-proxy says when it has synced, by which a node knows when it serves a new address.
func checkProxyHealth(ctx context.Context) Finding {
	const id = "kube-proxy/healthz"
	code, body := askProxy(ctx, proxyHealthAt, "/healthz")
	var health struct {
		Healthy *bool
		Status  map[string]struct{ Healthy bool }
	}
	switch err := json.Unmarshal(body, &health); {
	case code == 0:
		return skipped(id, "", "start viplog with --kube-proxy-healthz if it answers elsewhere",
			"no kube-proxy answers at %s: with --data-plane=auto nothing waits for it before it does", proxyHealthAt)
	case err != nil || code != http.StatusOK && code != http.StatusServiceUnavailable:
		return doubtful(id, "", "start viplog with --data-plane=none, or --kube-proxy-healthz", "what answers at %s is no kube-proxy: %d", proxyHealthAt, code)
	case health.Healthy != nil && !*health.Healthy:
		return doubtful(id, "", "see kube-proxy's log", "it says that changes of Services have waited for longer than a minute: after another minute the node is no candidate")
	case len(health.Status) == 0:
		return fine(id, "", "it says no time of its syncs: a new address is announced 1.2 s after its status is written")
	}
	return fine(id, "", "it says when it has synced: a new address is announced when it is served")
}

func (h host) checkProxyMode(ctx context.Context, f Facts) []Finding {
	mode := proxyMode(ctx)
	links, err := readLinks()
	if err != nil {
		return []Finding{skipped("kube-proxy/mode", "", "let the process use netlink", "the interfaces cannot be listed: %v", err)}
	}
	i := slices.IndexFunc(links, func(l link) bool { return l.Name == ipvsLink })
	switch {
	case i < 0 && mode == "":
		return []Finding{skipped("kube-proxy/mode", "", "",
			"no kube-proxy answers at %s, and there is no %s: it does not run here yet, or something else takes its place", proxyModeAt, ipvsLink)}
	case i < 0 && mode != "ipvs":
		return []Finding{fine("kube-proxy/mode", "", "its mode is %s, in which no node answers for a Service's address by itself", mode)}
	case i < 0:
		return []Finding{skipped("kube-proxy/mode", "", "run it again when kube-proxy has started", "its mode is ipvs, and there is no %s yet", ipvsLink)}
	}
	findings := []Finding{fine("kube-proxy/mode", ipvsLink, "its mode is ipvs: %d addresses are on it", links[i].addresses())}
	l, _, err := f.chosen()
	if err != nil {
		return append(findings, skipped("kube-proxy/strict-arp", ipvsLink, nameIt, "%v", err))
	}
	return append(findings, h.judgeStrictARP(l))
}

func (h host) judgeStrictARP(l link) Finding {
	const id = "kube-proxy/strict-arp"
	ignore, announce := h.sysctlOf(l.Name, "arp_ignore"), h.sysctlOf(l.Name, "arp_announce")
	switch {
	case ignore == 0:
		return wrong(id, l.Name, strictARP, "arp_ignore is 0: this host answers for every address on %s, whoever holds it", ipvsLink)
	case announce < 2:
		return doubtful(id, l.Name, strictARP,
			"arp_announce is %d, not 2: this host may ask for others with a Service's address as its own, and so draw that to itself", announce)
	}
	return fine(id, l.Name, "arp_ignore is %d and arp_announce %d: only who holds an address answers for it", ignore, announce)
}

// proxyMode asks kube-proxy for its mode; "" if nothing answers as it does.
func proxyMode(ctx context.Context) string {
	code, text := askProxy(ctx, proxyModeAt, "/proxyMode")
	if code != http.StatusOK || len(text) > 64 {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// askProxy asks kube-proxy for a page; 0 if nothing answers. The connection is made by the calling goroutine, whose namespace counts.
func askProxy(ctx context.Context, at, page string) (code int, body []byte) {
	const patience = time.Second
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(ctx, "tcp", at)
	if err != nil {
		return 0, nil
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET "+page+" HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
		return 0, nil
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	body, _ = io.ReadAll(io.LimitReader(response.Body, 1<<16))
	return response.StatusCode, body
}
