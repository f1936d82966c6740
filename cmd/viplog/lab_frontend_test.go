//go:build linux

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
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

var controlPlane = netip.AddrPortFrom(lab.ControlPlaneVIP, 443)

// balanced is a host of a cluster with the folders of its front end, for all hosts share one file system.
type balanced struct {
	*lab.ClusterHost
	pods      *lab.StaticPods
	config    string
	manifests string
	run       string
}

// newBalanced starts viplog on three control-plane nodes with a kubelet and an API server each.
func newBalanced(t *testing.T) (n *lan, all []*balanced) {
	n = newQuietLAN(t, lab.ClusterOptions{Nodes: 3})
	n.lab.Needs("keepalived", "haproxy")
	root, err := os.MkdirTemp("", "viplog-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	for _, h := range n.Hosts {
		folder := filepath.Join(root, h.Name)
		b := &balanced{ClusterHost: h, config: filepath.Join(folder, "etc/frontend"), manifests: filepath.Join(folder, "etc/manifests"), run: filepath.Join(folder, "run")}
		b.pods = h.StaticPods(b.manifests, lab.StaticPodsOptions{})
		h.APIServer(netip.AddrPortFrom(h.Address, frontend.BackendPort))
		h.Start("--keepalived-image", "keepalived:2", "--haproxy-image", "haproxy:2",
			"--frontend-dir", b.config, "--manifests-dir", b.manifests, "--frontend-run-dir", b.run)
		all = append(all, b)
	}
	n.Apply()
	return n, all
}

// holder waits until one of some hosts holds the control plane's VIP and serves the client.
func (n *lan) holder(of []*balanced, within time.Duration) *balanced {
	n.t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < within; time.Sleep(100 * time.Millisecond) {
		holders := slices.DeleteFunc(slices.Clone(of), func(b *balanced) bool { return !b.Has(controlPlane.Addr()) })
		if len(holders) != 1 {
			continue
		}
		if err = n.client.Do(func() error { return lab.Ask(controlPlane, "/readyz", time.Second) }); err == nil {
			return holders[0]
		}
	}
	for _, b := range of {
		n.t.Logf("%s has the VIP: %v; its Pods:\n%s", b.Name, b.Has(controlPlane.Addr()), b.pods.Said())
	}
	n.t.Fatalf("after %s nobody serves the control plane's VIP: %v", within, err)
	return nil
}

// rendered are the files of a host, by path.
func (b *balanced) rendered(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, folder := range []string{b.config, b.manifests} {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if errors.Is(err, fs.ErrNotExist) {
				continue // taken away meanwhile
			}
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Join(folder, e.Name())] = data
		}
	}
	return all
}

// reported tells whether the host's log says that something was done to a path.
func (b *balanced) reported(what, of, why string) bool {
	for line := range strings.Lines(b.Viplog.Said()) {
		var said struct{ Msg, Of, Why string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "front end: "+what && said.Of == of && strings.HasPrefix(said.Why, why) {
			return true
		}
	}
	return false
}

// awaits waits until something is so, and gives for how long it was not.
func awaits(t *testing.T, what string, within time.Duration, so func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !so() {
		if time.Since(began) > within {
			t.Fatalf("after %s not: %s", within, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

func TestTheControlPlanesVIPIsKeptFromTheLogAlone(t *testing.T) {
	n, all := newBalanced(t)
	began := time.Now()
	owner := n.holder(all, time.Minute)
	t.Logf("%s holds it %s after the cluster file was applied", owner.Name, time.Since(began))

	t.Run("whatever is done to a file is undone and reported", func(t *testing.T) { harmAll(t, owner) })
	owner = n.holder(all, 30*time.Second)

	stays := all[(slices.Index(all, owner)+1)%len(all)]
	t.Run("a node that leaves the cluster file keeps nothing", func(t *testing.T) {
		n := n.as(t)
		n.Declare(stays.ClusterHost)
		began := time.Now()
		n.holder([]*balanced{stays}, 30*time.Second)
		t.Logf("%s holds it %s after the others were taken out of the cluster file", stays.Name, time.Since(began))
		for _, b := range all {
			if b == stays {
				continue
			}
			awaits(t, "nothing is left on "+b.Name, 30*time.Second, func() bool {
				return len(b.rendered(t)) == 0 && !b.Has(controlPlane.Addr()) && b.pods.Process("viplog-keepalived") == nil && b.pods.Process("viplog-haproxy") == nil
			})
			if !b.Viplog.Running() {
				t.Errorf("viplog has ended on %s", b.Name)
			}
		}
		if n.holder(all, 10*time.Second) != stays {
			t.Error("another one holds it")
		}
	})
	t.Run("a watch outlives that nodes come back", func(t *testing.T) {
		n := n.as(t)
		watch := n.holdWatch()
		n.Declare(n.Hosts...)
		for _, b := range all {
			awaits(t, b.Name+" takes part", 30*time.Second, func() bool {
				return len(b.rendered(t)) == 5 && b.pods.Process("viplog-keepalived") != nil && b.pods.Process("viplog-haproxy") != nil
			})
		}
		time.Sleep(10 * time.Second) // until those who start would take it
		if n.holder(all, 10*time.Second) != stays {
			t.Error("the VIP has moved")
		}
		silence, err := watch()
		// From one member to several Keepalived begins anew, so that nobody has the VIP for three advertisements.
		if err != nil || silence > 4*time.Second {
			t.Errorf("the watch: silent for %s, %v", silence, err)
		}
		t.Logf("the watch was silent for %s at most", silence)
	})
}

// holdWatch opens a watch through the control plane's VIP. The function that it gives ends it, and gives its longest silence; an error if it has ended before.
func (n *lan) holdWatch() func() (time.Duration, error) {
	n.t.Helper()
	var conn net.Conn
	var lines *bufio.Scanner
	if err := n.client.Do(func() error {
		c, body, err := lab.Get(controlPlane, "/watch", 2*time.Minute)
		if err == nil {
			conn, lines = c, bufio.NewScanner(body)
		}
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	var silence time.Duration
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		last := time.Now()
		for lines.Scan() {
			silence, last = max(silence, time.Since(last)), time.Now()
		}
		silence = max(silence, time.Since(last))
	}()
	n.t.Cleanup(func() { _ = conn.Close() })
	return func() (time.Duration, error) {
		select {
		case <-ended:
			return silence, fmt.Errorf("it has ended: %w", cmp.Or(lines.Err(), io.EOF))
		default:
		}
		_ = conn.SetDeadline(time.Now())
		<-ended
		return silence, nil
	}
}

// harmAll goes through a host's files and what can happen to each.
func harmAll(t *testing.T, b *balanced) {
	files := b.rendered(t)
	if len(files) != 5 {
		t.Fatalf("%d files are rendered", len(files))
	}
	for path, right := range files {
		half := bytes.LastIndexByte(right[:len(right)/2], '\n') + 3 // not the end of a line, which may be an edit
		temporary := filepath.Join(filepath.Dir(filepath.Dir(path)), ".viplog-"+filepath.Base(filepath.Dir(path))+"-"+filepath.Base(path)+".new")
		for _, harm := range []struct {
			name, what, of, why string
			do                  func() error
		}{
			{"edited by hand", "restored", path, "changed from line ", func() error { return os.WriteFile(path, append(slices.Clone(right), "# by hand\n"...), 0o600) }},
			{"half written", "restored", path, fmt.Sprintf("cut short after %d bytes", half), func() error { return os.Truncate(path, int64(half)) }},
			{"deleted", "restored", path, "missing", func() error { return os.Remove(path) }},
			{"begun anew, and not ended", "cleaned", temporary, "left by", func() error { return os.WriteFile(temporary, right[:half], 0o600) }},
		} {
			if err := harm.do(); err != nil {
				t.Fatal(err)
			}
			took := awaits(t, path+" is right again, which was "+harm.name, 3*frontendInterval, func() bool {
				there, err := os.ReadFile(path)
				_, left := os.Lstat(temporary)
				return err == nil && bytes.Equal(there, right) && errors.Is(left, fs.ErrNotExist)
			})
			// A look each interval: one may have passed over the file just before, and what it does takes a moment.
			if took > 2*frontendInterval {
				t.Errorf("%s, %s: right again after %s", filepath.Base(path), harm.name, took)
			}
			awaits(t, path+": "+harm.name+" is reported", 3*frontendInterval, func() bool { return b.reported(harm.what, harm.of, harm.why) })
		}
	}
}
