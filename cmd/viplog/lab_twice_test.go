//go:build linux

package main

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"viplog/fixtures/lab"
)

// Two clusters whose pools overlap see each other's answers, and both say so.
func TestTwoClustersThatUseOneAddressBothReportIt(t *testing.T) {
	l := lab.New(t)
	s := l.Switch("switch")
	a := l.NewCluster(s, lab.ClusterOptions{Name: "one", Nodes: 3})
	b := l.NewCluster(s, lab.ClusterOptions{Name: "two", Nodes: 3, First: 21})
	for _, c := range []*lab.Cluster{a, b} {
		c.Services(1)
		c.Start()
	}
	for _, c := range []*lab.Cluster{a, b} {
		var reported []byte
		for began := time.Now(); !strings.Contains(string(reported), "answers for it on"); time.Sleep(200 * time.Millisecond) {
			if time.Since(began) > 60*time.Second {
				t.Fatalf("a minute later no conflict is told:\n%s", reported)
			}
			if out, err := c.Try("explain", "address", "10.0.64.1"); err == nil {
				reported = out
			}
		}
		for line := range strings.Lines(string(reported)) {
			if strings.HasPrefix(line, "conflict ") {
				t.Log(strings.TrimSpace(line))
			}
		}
		if !slices.ContainsFunc(others(a, b, c), func(h *lab.ClusterHost) bool { return strings.Contains(string(reported), h.MAC("eth0").String()) }) {
			t.Errorf("none of the other cluster's MACs is told:\n%s", reported)
		}
	}
}

func others(a, b, than *lab.Cluster) []*lab.ClusterHost {
	if than == a {
		return b.Hosts
	}
	return a.Hosts
}

// A host has one process: another one ends at once and says why, and the first goes on.
func TestASecondProcessOfAHostIsRefused(t *testing.T) {
	l := lab.New(t)
	s := l.Switch("switch")
	c := l.NewCluster(s, lab.ClusterOptions{Nodes: 1})
	h := c.Hosts[0]
	h.Start()
	c.Apply()
	for _, second := range []struct {
		name  string
		flags []string
		says  string
	}{
		{"with the same data", nil, "viplog.lock"},
		{"in the same network namespace", []string{"--data", t.TempDir()}, "answers in this network namespace"},
	} {
		t.Run(second.name, func(t *testing.T) {
			p := h.Another(second.flags...)
			err := p.Wait(10 * time.Second)
			var ended *exec.ExitError
			if !errors.As(err, &ended) || ended.ExitCode() != 1 {
				t.Errorf("it ended with %v, and not with exit code 1", err)
			}
			if said := p.Said(); !strings.Contains(said, "viplog runs here already") || !strings.Contains(said, second.says) {
				t.Errorf("it said:\n%s", said)
			} else {
				t.Log(strings.TrimSpace(said))
			}
		})
	}
	if !h.Viplog.Running() {
		t.Error("the first process has ended")
	}
}
