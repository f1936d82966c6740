package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"viplog/core/ledger"
)

// dev runs `viplog dev` with verbs on standard input and gives every status that it printed.
func dev(t *testing.T, verbs string, args ...string) []statusView {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"dev", "-o", "json", "--data", t.TempDir()}, args...)
	if code := run(context.Background(), args, streams{strings.NewReader(verbs), &out, &errs}); code != 0 {
		t.Fatalf("exit code %d\n%s", code, &errs)
	}
	var all []statusView
	for decoder := json.NewDecoder(&out); decoder.More(); {
		var status statusView
		if err := decoder.Decode(&struct {
			*statusView
			Pools any `json:"pools"`
		}{statusView: &status}); err != nil {
			t.Fatal(err)
		}
		for _, n := range status.Nodes { // every node that runs has folded what the first has, to the same digest
			if n.State == "joined" && (n.Digest == "" || n.Digest != digestOf(status) || n.Sequence == 0) {
				t.Errorf("node %s is at %d with digest %q", n.Name, n.Sequence, n.Digest)
			}
		}
		all = append(all, status)
	}
	return all
}

func digestOf(status statusView) string {
	for _, n := range status.Nodes {
		if n.State == "joined" {
			return n.Digest
		}
	}
	return ""
}

func TestDevFailPromotesTheFirstStandbysAndJoinMovesNothing(t *testing.T) {
	all := dev(t, "fail lb-1\nstatus\njoin lb-1\nstatus\n")
	if len(all) != 3 {
		t.Fatalf("%d statuses, want 3", len(all))
	}
	start, afterFail, afterJoin := all[0], all[1], all[2]
	moved := 0
	for i, a := range start.Addresses {
		want := a.Owner
		if want == "" {
			t.Errorf("%s has no owner at the start: %s", a.Address, a.Reason)
		}
		if want == "lb-1" {
			want = a.Standbys[0]
			moved++
		}
		if got := afterFail.Addresses[i].Owner; got != want {
			t.Errorf("%s went from %s to %s, want %s", a.Address, a.Owner, got, want)
		}
		if got := afterJoin.Addresses[i].Owner; got != afterFail.Addresses[i].Owner {
			t.Errorf("%s moved to %s when lb-1 came back", a.Address, got)
		}
	}
	if moved == 0 {
		t.Error("lb-1 owned nothing at the start")
	}
}

func TestDevPowerCycleEndsSpreadEvenlyAndChangesNoAddress(t *testing.T) {
	all := dev(t, "fail lb-1\nfail lb-2\nfail lb-3\njoin lb-3\njoin lb-1\njoin lb-2\nstatus\n")
	start, end := all[0], all[1]
	load := map[string]int{}
	for i, s := range end.Services {
		if !slices.Equal(s.Addresses, start.Services[i].Addresses) {
			t.Errorf("%s went from %v to %v", s.Name, start.Services[i].Addresses, s.Addresses)
		}
		if s.Owner != "" {
			load[s.Owner]++
		}
	}
	if len(load) != 3 || max(load["lb-1"], load["lb-2"], load["lb-3"])-min(load["lb-1"], load["lb-2"], load["lb-3"]) > 1 {
		t.Errorf("loads %v, want them even over three nodes", load)
	}
}

func TestSmallestPrefixHoldsEveryAddress(t *testing.T) {
	var all []netip.Addr
	for _, text := range []string{"10.200.0.2", "10.200.0.90", "fd00::1", "fd00::ff"} {
		all = append(all, netip.MustParseAddr(text))
	}
	got := smallestPrefixes(all)
	want := []netip.Prefix{netip.MustParsePrefix("10.200.0.0/25"), netip.MustParsePrefix("fd00::/120")}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A folder of manifests is followed: a Service that is written to it gets an address, one that is taken out loses it,
// and a broken file takes nothing away.
func TestDevFollowsItsFolderOfManifests(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	manifest := func(name string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n"
	}
	write("a.yaml", manifest("a"))
	verbs, typing := io.Pipe()
	printed, out := io.Pipe()
	var errs lockedBuffer
	ended := make(chan int, 1)
	go func() {
		args := []string{"dev", "-o", "json", "--cluster", "testdata/kill.yaml", "--services", folder}
		ended <- run(t.Context(), args, streams{verbs, out, &errs})
		out.Close()
	}()
	statuses := json.NewDecoder(printed)
	names := func() string {
		t.Helper()
		var status struct{ Services []ledger.ServiceView }
		if err := statuses.Decode(&status); err != nil {
			t.Fatalf("%v\n%s", err, errs.String())
		}
		var all []string
		for _, s := range status.Services {
			all = append(all, s.Name)
		}
		return strings.Join(all, " ")
	}
	waitFor := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; {
			fmt.Fprintln(typing, "status")
			got := names()
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("Services %q, want %q\n%s", got, want, errs.String())
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if got := names(); got != "a" {
		t.Fatalf("at the start: %q", got)
	}
	write("b.yaml", manifest("b"))
	waitFor("a b")
	write("a.yaml", "apiVersion: v1\nkind: Service\nmetadata: [")
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(errs.String(), "a.yaml:"); {
		if time.Now().After(deadline) {
			t.Fatal("the broken file was not reported")
		}
		time.Sleep(20 * time.Millisecond)
	}
	waitFor("a b")
	if err := os.Remove(filepath.Join(folder, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	waitFor("b")
	fmt.Fprintln(typing, "quit")
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d\n%s", code, errs.String())
	}
}

// lockedBuffer is written by a command while the test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Facts that no replica may honour (forged subjects, unknown types, bytes that are not canonical, newer rules, no fact at
// all) are in the log for ever, and every replica rejects them alike and goes on.
func TestBadFactsHaltAndSplitNobody(t *testing.T) {
	verbs, typing := io.Pipe()
	printed, out := io.Pipe()
	var errs lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"dev", "-o", "json"}, streams{verbs, out, &errs})
		out.Close()
	}()
	statuses := json.NewDecoder(printed)
	next := func() (nodes []ledger.NodeView) {
		t.Helper()
		var status struct{ Nodes []ledger.NodeView }
		if err := statuses.Decode(&status); err != nil {
			t.Fatalf("%v\n%s", err, errs.String())
		}
		return status.Nodes
	}
	before := next()
	_, url, _ := strings.Cut(errs.String(), "NATS listens on ")
	url, _, _ = strings.Cut(url, "\n")
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	const subject = "viplog.hybrid-ha-lb.log."
	bad := []struct{ entity, kind, rules, body string }{
		{"drain.10_200_0_5", "viplog.NodeDrained.v1", "0", `{"address":"10.200.0.6"}`},
		{"drain.10_200_0_5", "viplog.NodeDrained.v1", "0", `{ "address":"10.200.0.5"}`},
		{"drain.10_200_0_5", "viplog.NodeDrained.v1", "99", `{"address":"10.200.0.5"}`},
		{"drain.10_200_0_5", "viplog.NodeExploded.v1", "0", `{"address":"10.200.0.5"}`},
		{"node.10_200_0_5", "", "", "hello"},
	}
	for _, b := range bad {
		message := nats.NewMsg(subject + b.entity)
		message.Data = []byte(b.body)
		for header, value := range map[string]string{"ce-type": b.kind, "ce-rules": b.rules, "ce-id": b.body + b.rules, "ce-source": "cli/vandal"} {
			message.Header.Set(header, value)
		}
		if _, err := nc.RequestMsg(message, 5*time.Second); err != nil { // the stream's acknowledgement
			t.Fatal(err)
		}
	}
	fmt.Fprintln(typing, "drain lb-2\nstatus")
	after := next()
	for i, n := range after {
		if want := before[i].Sequence + uint64(len(bad)) + 1; n.Sequence != want || n.Digest != after[0].Digest {
			t.Errorf("%s is at %d with digest %s, want %d with %s", n.Name, n.Sequence, n.Digest, want, after[0].Digest)
		}
	}
	if n := strings.Count(errs.String(), "rejected: "); n != len(bad) {
		t.Errorf("%d facts were reported as rejected, want %d\n%s", n, len(bad), errs.String())
	}
	fmt.Fprintln(typing, "quit")
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d\n%s", code, errs.String())
	}
}
