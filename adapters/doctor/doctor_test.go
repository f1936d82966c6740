//go:build linux

package doctor

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"viplog/core/frontend"
	"viplog/fixtures/lab"
)

var (
	self  = netip.MustParseAddr("10.0.0.1")
	peer  = netip.MustParseAddr("10.0.0.2")
	vip   = netip.MustParseAddr("10.0.0.100")
	gate  = netip.MustParseAddr("10.0.0.254")
	spare = netip.MustParseAddr("10.0.0.77")
)

// plan is of the front end that the lab's Keepalived is told of.
func plan() *frontend.Plan {
	return &frontend.Plan{
		Cluster: "test", VIP: vip, Port: 443, RouterID: 51,
		Members: []frontend.Member{{Address: self, Priority: 254}, {Address: peer, Priority: 244}}, Backends: []netip.Addr{self},
	}
}

// looked runs one check in a host of the lab.
func looked(t *testing.T, at *lab.Host, f Facts, id string) []Finding {
	t.Helper()
	h := thisHost()
	if h.askEach != time.Second {
		t.Errorf("questions are %v apart", h.askEach)
	}
	h.askEach = 300 * time.Millisecond
	return lookedBy(t, at, h, f, id)
}

// lookedBy runs one check on a system that is partly recorded.
func lookedBy(t *testing.T, at *lab.Host, h host, f Facts, id string) (all []Finding) {
	t.Helper()
	run := func() error {
		for _, c := range Checks() {
			if c.ID != id {
				continue
			}
			ctx, cancel := context.WithTimeout(t.Context(), c.Limit)
			defer cancel()
			all = c.run(ctx, h, f.withDefaults())
		}
		return nil
	}
	if at == nil {
		_ = run()
	} else {
		at.Must(run)
	}
	if len(all) == 0 {
		t.Fatalf("%s says nothing", id)
	}
	return all
}

// expect finds one finding, holds its severity and what it says, and that something is to be done where something is wrong.
func expect(t *testing.T, all []Finding, id string, severity Severity, says string) {
	t.Helper()
	for _, f := range all {
		if f.ID != id {
			continue
		}
		if f.Severity != severity || !strings.Contains(f.Seen, says) {
			t.Errorf("%s is %s, %q; want %s, with %q", id, f.Severity, f.Seen, severity, says)
		}
		if f.Severity == OK != (f.Do == "") && f.Severity != Skipped {
			t.Errorf("%s: %s, to do: %q", id, f.Severity, f.Do)
		}
		return
	}
	t.Errorf("no %s in %+v", id, all)
}

// well holds that nothing is wrong, and that not all was skipped.
func well(t *testing.T, all []Finding) {
	t.Helper()
	if !slices.ContainsFunc(all, func(f Finding) bool { return f.Severity == OK }) {
		t.Errorf("nothing was looked at: %+v", all)
	}
	for _, f := range all {
		if f.Severity == Error || f.Severity == Warning {
			t.Errorf("%+v", f)
		}
	}
}

// recorded makes a folder of files.
func recorded(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// node is a host at a switch, with the node's address.
func node(t *testing.T) (*lab.Lab, *lab.Switch, *lab.Host) {
	t.Helper()
	l := lab.New(t)
	s, h := l.Switch("switch"), l.Host("node")
	s.Attach(h, "eth0", self.String()+"/24")
	return l, s, h
}

func sysctl(t *testing.T, h *lab.Host, name, value string) {
	t.Helper()
	h.Must(func() error { return lab.SetSysctl(name, value) })
}

func TestChecksRunInOrderUntilTheyAreInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	runs := func(id string, after func()) Check {
		return Check{ID: id, About: "of " + id, Limit: 1 << 40, run: func(context.Context, host, Facts) []Finding {
			after()
			return []Finding{fine(id+"/well", "", "seen %d", 1)}
		}}
	}
	var told []string
	all := examine(ctx, host{}, Facts{}, []Check{runs("a", func() {}), runs("b", cancel), runs("c", func() {})}, func(s string) { told = append(told, s) })
	if len(all) != 3 || all[0] != (Finding{"a/well", OK, "", "seen 1", ""}) || all[1].ID != "b/well" || all[2].ID != "c/interrupted" || all[2].Severity != Skipped {
		t.Errorf("%+v", all)
	}
	if strings.Join(told, ";") != "of a;of b" {
		t.Errorf("%q", told)
	}
	if Failed(all) || !Failed([]Finding{wrong("x", "", "do", "seen")}) {
		t.Error("an error is what makes it fail")
	}
}

func TestAHostOfWhichNothingIsKnownIsLookedAtAsFarAsThatGoes(t *testing.T) {
	l := lab.New(t)
	h := l.Host("bare")
	var all []Finding
	h.Must(func() (err error) {
		all, err = Examine(t.Context(), Facts{}, func(string) {})
		return err
	})
	seen := map[string]bool{}
	for _, f := range all {
		check, _, _ := strings.Cut(f.ID, "/")
		seen[check] = true
		if f.Seen == "" || f.ID == "" {
			t.Errorf("%+v", f)
		}
	}
	for _, c := range Checks() {
		if !seen[c.ID] {
			t.Errorf("%s says nothing", c.ID)
		}
	}
	for _, id := range []string{"ports/unknown", "interface/address", "nic/link", "sysctls/interface", "vrrp/heard", "gateway/answers", "identity/folder"} {
		expect(t, all, id, Skipped, "")
	}
}
