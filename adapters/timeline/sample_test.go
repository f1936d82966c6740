package timeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"viplog/core/trace"
)

// sample is a timeline of testdata: power is what a simulation wrote, planted what one wrote of code in which standbys announce
// beside owners (sim/mutants), from a seed made small, and double is invented.
func sample(t testing.TB, name string) Timeline {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".trace")
	if err != nil {
		t.Fatal(err)
	}
	out := Timeline{
		Title: "failover/" + name + ".txtar", Verdict: VerdictOK, Command: "viplog sim run -v fixtures/scenarios/failover/" + name + ".txtar",
		Script: "cluster nodes=3 voters=3 clients=1\nsettle\nat 10s fail lb-2\n", Began: 10 * time.Second, End: 13100 * time.Millisecond,
		Nodes: []string{"lb-1", "lb-2", "lb-3"},
	}
	if name == "double" {
		out.Verdict, out.Why = "violated", "exclusive announcement: lb-1 and lb-2 both answer for 192.0.2.1, both leased"
	}
	if name == "planted" {
		out.Title, out.Command, out.Script = "failure-1.txtar", "viplog sim run -v failure-1.txtar", "cluster\nservice default/web-4\nrun 10s\n"
		out.Verdict, out.Why = "violated", "0.023185 exclusive announcement: lb-2 and lb-3 both answer for 192.0.2.0, both leased"
		out.Began, out.End = 0, time.Second
	}
	for line := range bytes.Lines(text) {
		var r trace.Record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		out.Records = append(out.Records, r)
	}
	return out
}

// large is a timeline with many records: addresses that move from node to node.
func large(records, addresses int) Timeline {
	out := Timeline{Title: "large", Verdict: VerdictOK, Nodes: []string{"lb-1", "lb-2", "lb-3", "lb-4", "lb-5"}}
	add := func(at time.Duration, actor string, n trace.Note) {
		out.Records = append(out.Records, trace.Record{At: at, Actor: actor, Note: n})
	}
	for _, n := range out.Nodes {
		add(0, n, trace.Note{Kind: trace.Started})
		add(0, n, trace.Note{Kind: trace.Leased})
	}
	for i := 0; len(out.Records) < records; i++ {
		at, addr := time.Duration(i)*7*time.Millisecond, netip.AddrFrom4([4]byte{192, 0, 2, byte(i % addresses)})
		round := i / addresses
		from, to := out.Nodes[round%5], out.Nodes[(round+1)%5]
		add(at, "log", trace.Note{Kind: trace.Appended, Sequence: uint64(i + 1), Text: fmt.Sprint("viplog.NodeDrained.v1 drain.", i)})
		if round > 0 {
			add(at+time.Millisecond, from, trace.Note{Kind: trace.Stopped, Address: addr, Sequence: uint64(i + 1), Text: "is another's"})
		}
		add(at+2*time.Millisecond, to, trace.Note{Kind: trace.Announced, Address: addr, Sequence: uint64(i + 1)})
		add(at+5*time.Millisecond, "client-1", trace.Note{Kind: trace.Served, Address: addr, By: to, Gap: time.Duration(i%60) * time.Millisecond})
	}
	return out
}
