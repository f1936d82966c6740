package staticpod

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// master is HAProxy's socket, of version 2.6, which never answers a reload.
type master struct {
	mu                     sync.Mutex
	asked, reloads, failed int
	swallows, refuses      bool
}

func newMaster(t testing.TB, o Options) *master {
	t.Helper()
	l, err := net.Listen("unix", o.run(nameHAProxy, fileSocket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	m := &master{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			command, _ := io.ReadAll(c)
			_, _ = io.WriteString(c, m.answer(string(command)))
			_ = c.Close()
		}
	}()
	return m
}

func (m *master) answer(command string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch command {
	case "show proc\n":
		return fmt.Sprintf("#<PID>          <type>          <reloads>       <uptime>        <version>      \n"+
			"7498            master          %d [failed: %d]   0d00h00m01s     2.6.12\n# workers\n"+
			"7612            worker          9               0d00h00m01s     2.6.12\n# programs\n\n\n", m.reloads, m.failed)
	case "reload\n":
		m.asked++
		if !m.swallows {
			m.reloads++
		}
		if m.refuses {
			m.failed++
		}
		return ""
	}
	return "Unknown command: " + command
}

func (m *master) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *master) wants(t *testing.T, asked int) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.asked != asked {
		t.Errorf("asked to reload %d times, want %d", m.asked, asked)
	}
}

const (
	reloadedHAProxy    = "reloaded haproxy: it had another configuration"
	reloadedKeepalived = "reloaded keepalived: it had another configuration"
)

func TestAProgramIsAskedOncePerConfiguration(t *testing.T) {
	b := newBench(t)
	b.keep() // nobody listens yet
	m := newMaster(t, b.o)
	b.wants(b.keep(), reloadedHAProxy)
	b.wants(b.keep())
	b.keeper = &Keeper{Options: b.keeper.Options, Node: b.node}
	b.wants(b.keep())
	m.wants(t, 1)
	b.plan.Backends = b.plan.Backends[:2]
	if got := b.keep(); len(got) != 2 || got[1] != reloadedHAProxy {
		t.Errorf("got %q", got)
	}
	m.wants(t, 2)
}

// TestAConfigurationThatIsRefusedIsToldAtEachLookAndAskedForOnce: a master that reloads in vain too often ends the worker that works.
func TestAConfigurationThatIsRefusedIsToldAtEachLookAndAskedForOnce(t *testing.T) {
	b := newBench(t)
	b.keep()
	m := newMaster(t, b.o)
	m.set(func() { m.refuses = true })
	for range 3 {
		if changes, err := b.keeper.Keep(b.files()); !errors.Is(err, ErrRefused) || len(changes) > 0 {
			t.Errorf("%v, %v", changes, err)
		}
	}
	m.wants(t, 1)
	b.plan.Backends = b.plan.Backends[:2]
	if _, err := b.keeper.Keep(b.files()); !errors.Is(err, ErrRefused) {
		t.Errorf("another one: %v", err)
	}
	m.wants(t, 2)
	b.right()
}

func TestAReloadThatGetsLostIsAskedForAgain(t *testing.T) {
	b := newBench(t)
	b.keep()
	m := newMaster(t, b.o)
	m.set(func() { m.swallows = true })
	if changes, err := b.keeper.Keep(b.files()); err == nil || len(changes) > 0 {
		t.Errorf("%v, %v", changes, err)
	}
	m.set(func() { m.swallows = false })
	b.wants(b.keep(), reloadedHAProxy)
	m.wants(t, 2)
}

func TestASocketThatNobodyListensOnIsNoError(t *testing.T) {
	b := newBench(t)
	b.keep()
	l, err := net.Listen("unix", b.o.run(nameHAProxy, fileSocket))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b.wants(b.keep())
}

// TestAProgramThatEndsIsNotAskedToReload: it has a folder mounted that was deleted, and would refuse what it does not find.
func TestAProgramThatEndsIsNotAskedToReload(t *testing.T) {
	b := newBench(t)
	b.keep()
	m := newMaster(t, b.o)
	m.refuses = true
	b.started()
	if err := os.RemoveAll(b.o.ConfigFolder); err != nil {
		t.Fatal(err)
	}
	b.keep()
	b.wants(b.keep())
	m.wants(t, 0)
	newMaster(t, b.o)
	b.started()
	b.wants(b.keep(), reloadedHAProxy, reloadedKeepalived)
}

// TestAMasterThatStartsIsNoError closes each connection without reading, as an HAProxy does whose start has not come to its end.
func TestAMasterThatStartsIsNoError(t *testing.T) {
	b := newBench(t)
	b.keep()
	l, err := net.Listen("unix", b.o.run(nameHAProxy, fileSocket))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	for range 20 { // its close comes before what it is sent, or after
		b.wants(b.keep())
	}
	_ = l.Close()
	newMaster(t, b.o)
	b.wants(b.keep(), reloadedHAProxy)
}

func TestTheTimeOfAReloadIsTheNextSecond(t *testing.T) {
	b := newBench(t)
	b.keep()
	b.started()
	before := time.Now()
	b.wants(b.keep(), reloadedKeepalived)
	data, err := os.ReadFile(b.o.run(nameKeepalived, fileReload))
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse("2006-01-02 15:04:05Z", strings.TrimSuffix(string(data), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if wait := at.Sub(before); wait <= 0 || wait > 2*time.Second+time.Since(before) {
		t.Errorf("the reload is %v after the write", wait)
	}
}

// TestAKeepalivedThatBeganWithItsConfigurationIsLeftAlone has one that began long after it was written, as after a start of the machine.
func TestAKeepalivedThatBeganWithItsConfigurationIsLeftAlone(t *testing.T) {
	b := newBench(t)
	b.keep()
	b.started()
	began := time.Now().Add(2 * readsWithin)
	if err := os.Chtimes(b.o.run(nameKeepalived, filePID), began, began); err != nil {
		t.Fatal(err)
	}
	b.wants(b.keep())
	if _, err := os.Stat(b.o.run(nameKeepalived, fileReload)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a reload is asked for: %v", err)
	}
	began = time.Now()
	if err := os.Chtimes(b.o.run(nameKeepalived, filePID), began, began); err != nil {
		t.Fatal(err)
	}
	b.plan.GARPRepeat = 6
	if got := b.keep(); len(got) != 2 || got[1] != reloadedKeepalived {
		t.Errorf("an edit: %q", got)
	}
}

// TestAnHAProxyThatBeganWithItsConfigurationIsLeftAlone, also where the one before it had refused that.
func TestAnHAProxyThatBeganWithItsConfigurationIsLeftAlone(t *testing.T) {
	b := newBench(t)
	b.keep()
	m := newMaster(t, b.o)
	m.set(func() { m.refuses = true })
	if _, err := b.keeper.Keep(b.files()); !errors.Is(err, ErrRefused) {
		t.Fatal(err)
	}
	m.wants(t, 1)
	began := time.Now().Add(2 * readsWithin)
	if err := os.Chtimes(b.o.run(nameHAProxy, fileSocket), began, began); err != nil {
		t.Fatal(err)
	}
	b.wants(b.keep())
	m.wants(t, 1)
	m.set(func() { m.refuses = false })
	began = time.Now()
	if err := os.Chtimes(b.o.run(nameHAProxy, fileSocket), began, began); err != nil {
		t.Fatal(err)
	}
	b.plan.Backends = b.plan.Backends[:2]
	if got := b.keep(); len(got) != 2 || got[1] != reloadedHAProxy {
		t.Errorf("an edit: %q", got)
	}
	m.wants(t, 2)
}
