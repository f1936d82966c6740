//go:build linux

package doctor

import (
	"bufio"
	"context"
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
	// ipvsLink is the interface on which kube-proxy has all addresses of Services in mode ipvs.
	ipvsLink = "kube-ipvs0"

	strictARP = "set ipvs.strictARP: true in kube-proxy's configuration, and restart it"
)

// checkKubeProxy looks whether kube-proxy makes this host answer for addresses that others hold: in mode ipvs all of them are on an interface of
// each node, for which Linux answers on any other one unless arp_ignore says not to (metallb #153).
func checkKubeProxy(ctx context.Context, h host, f Facts) []Finding {
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

// proxyMode asks kube-proxy for its mode; "" if nothing answers as it does. The connection is made by the calling goroutine, whose namespace counts.
func proxyMode(ctx context.Context) string {
	const patience = time.Second
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(ctx, "tcp", proxyModeAt)
	if err != nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET /proxyMode HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
		return ""
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 64))
	return strings.TrimSpace(string(text))
}
