//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"viplog/adapters/probe"
	"viplog/fixtures/lab"
)

// probed runs `viplog probe` in a host and gives its exit code and what it prints.
func probed(t *testing.T, h *lab.Host, ctx context.Context, arguments ...string) (code int, out, wrong string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	h.Must(func() error {
		code = run(ctx, append([]string{"probe"}, arguments...), streams{strings.NewReader(""), &stdout, &stderr})
		return nil
	})
	return code, stdout.String(), stderr.String()
}

func TestProbeOfAnAddressInALab(t *testing.T) {
	l := lab.New(t)
	s, client, server := l.Switch("switch"), l.Host("client"), l.Host("server")
	s.Attach(client, "eth0", "10.0.0.50/24")
	s.Attach(server, "eth0", "10.0.0.100/24")
	server.Echo(netip.MustParseAddrPort("10.0.0.100:7"))
	arguments := []string{"10.0.0.100", "--protocol", "udp,tcp,arp", "--for", "200ms"}
	code, out, wrong := probed(t, client, t.Context(), arguments...)
	for _, want := range []string{
		"10.0.0.100, port 7: warm, a request each 5ms from ", "\nudp ", "\ntcp ", "\nconnect ", "\narp ",
		"connections: 1 opened, 0 reset, 0 timed out, 0 closed, 0 failed", "02:00:00:00:00:02",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if code != 0 || wrong != "" || strings.Contains(out, "OUTAGE ") {
		t.Errorf("%d, %s%s", code, out, wrong)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	code, out, wrong = probed(t, client, ctx, "10.0.0.100", "-o", "json", "--for", "1h", "--cold", "--spacing", "10ms")
	var view probeView
	if err := json.Unmarshal([]byte(out), &view); err != nil || code != 0 || wrong != "" {
		t.Fatalf("%d, %v, %s%s", code, err, out, wrong)
	}
	if !view.Interrupted || !view.Cold || view.Kind != "Probe" || view.Streams[0].InTime == 0 || strings.Contains(out, "null") ||
		strings.Count(out, "\n") != 1 || !strings.Contains(out, `"holders":[],"changes":[]}`) {
		t.Error(out)
	}

	s.Sever(server, "eth0")
	code, out, wrong = probed(t, client, t.Context(), "10.0.0.100", "--for", "100ms")
	if code != 1 || wrong != "10.0.0.100: no request was answered (udp)\n" || !strings.Contains(out, " (open)") || !strings.Contains(out, "OUTAGE") {
		t.Errorf("%d, %s%s", code, out, wrong)
	}
	code, _, wrong = probed(t, client, t.Context(), "10.0.0.100", "--protocol", "arp", "--interface", "eth7")
	if code != 1 || !strings.Contains(wrong, "interface eth7") {
		t.Errorf("%d, %s", code, wrong)
	}
}

func TestTablesOfAProbe(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)).UTC() }
	v := probeView{Result: probe.Result{
		Address: netip.MustParseAddr("10.0.0.100"), Port: 7, Spacing: 5 * time.Millisecond, Began: at(0), Ended: at(10_000),
		Interrupted: true, Skipped: 3, Stall: 21_340 * time.Microsecond,
		Streams: []probe.Stream{{
			Name: "udp", Sent: 2000, InTime: 1939, Lost: 60, Late: 1, OutageCount: 22, LongestGap: 300 * time.Millisecond,
			LongestSilence: 306_120 * time.Microsecond, MedianLatency: 120 * time.Microsecond, MaxLatency: 2100 * time.Millisecond,
			Outages:  append([]probe.Outage{{Begin: at(1000), End: at(1300), Gap: 300 * time.Millisecond, Silence: 306_120 * time.Microsecond, Lost: 60, Late: 1}}, make([]probe.Outage, 20)...),
			Troubles: []probe.Trouble{{What: "no route to host", Count: 3, First: at(1000)}},
		}},
		Connections: probe.Connections{Opened: 2, Reset: 1, Failed: 4, Endings: []probe.Ending{{Opened: at(0), At: at(1300), How: "timedOut", After: 10 * time.Second, Error: "i/o timeout"}}},
		Holders:     []probe.Holder{{MAC: "02:00:00:00:00:01", First: at(0), Last: at(1000), Answers: 200}},
		Changes:     []probe.Change{{From: "02:00:00:00:00:01", To: "02:00:00:00:00:02", At: at(1300), Gap: 300 * time.Millisecond}},
	}}
	var out strings.Builder
	if err := v.print(&out, "table"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"from 1970-01-01T00:00:00Z to 00:00:10.000, interrupted; this host skipped 3, the longest time without any was 21.3 ms\n",
		"udp        2000   1939      1      60     22        300.0 ms      306.1 ms          0.1 ms   2100.0 ms",
		"udp      00:00:01.000   00:00:01.300   300.0 ms   306.1 ms   60     1",
		"udp      and 2 more",
		"connections: 2 opened, 1 reset, 0 timed out, 0 closed, 4 failed",
		"timed out    00:00:00.000   00:00:01.300   10000.0 ms              i/o timeout",
		"02:00:00:00:00:01   00:00:00.000   00:00:01.000   200       0",
		"02:00:00:00:00:01   02:00:00:00:00:02   00:00:01.300   300.0 ms          0.0 ms",
		"udp: 3 times from 00:00:01.000 on: no route to host",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
}
