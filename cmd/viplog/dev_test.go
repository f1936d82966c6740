package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
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
		all = append(all, status)
	}
	return all
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
