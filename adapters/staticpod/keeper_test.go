package staticpod

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"viplog/core/frontend"
)

// fakeNode has one interface.
type fakeNode struct {
	speaks bool
	held   []netip.Addr
	err    error
}

func (n *fakeNode) SpeaksVRRP() (bool, error) { return n.speaks, n.err }

func (n *fakeNode) TakeOff(vip netip.Addr) ([]string, error) {
	i := slices.Index(n.held, vip)
	if i < 0 {
		return nil, n.err
	}
	n.held = slices.Delete(n.held, i, i+1)
	return []string{"eth0"}, n.err
}

// bench is a node's folders with a Keeper.
type bench struct {
	t      testing.TB
	node   *fakeNode
	keeper *Keeper
	o      Options
	plan   frontend.Plan
	self   Local
	front  netip.Addr // where clients connect to
}

func newBench(t testing.TB) *bench {
	t.Helper()
	root, err := os.MkdirTemp("", "staticpod") // not the test's own folder, whose name is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	o := images
	o.ConfigFolder, o.ManifestFolder = filepath.Join(root, "etc/viplog/frontend"), filepath.Join(root, "etc/kubernetes/manifests")
	o.RunFolder = filepath.Join(root, "run/viplog/frontend")
	if err := os.MkdirAll(o.ManifestFolder, 0o700); err != nil {
		t.Fatal(err)
	}
	a, b, c := addr("10.0.0.2"), addr("10.0.0.3"), addr("10.0.0.4")
	node := &fakeNode{speaks: true}
	return &bench{t: t, node: node, keeper: &Keeper{Options: o, Node: node}, o: o.withDefaults(), self: localOf(a), front: c, plan: frontend.Plan{
		Cluster: "c1", VIP: addr("10.0.0.71"), Port: 443, RouterID: 7, GARPRepeat: 5, Backends: []netip.Addr{a, b, c},
		Members: []frontend.Member{{Address: a, Priority: 254}, {Address: b, Priority: 244}, {Address: c, Priority: 234}},
	}}
}

func (b *bench) files() []File {
	b.t.Helper()
	return render(b.t, b.plan, b.self, b.keeper.Options)
}

// keep looks once, and gives what was changed in the order in which it was.
func (b *bench) keep() []string {
	b.t.Helper()
	changes, err := b.keeper.Keep(b.files())
	if err != nil {
		b.t.Fatal(err)
	}
	return b.lines(changes)
}

func (b *bench) lines(changes []Change) (lines []string) {
	for _, c := range changes {
		lines = append(lines, strings.ReplaceAll(c.String(), filepath.Dir(filepath.Dir(filepath.Dir(b.o.ConfigFolder))), ""))
	}
	return lines
}

func (b *bench) wants(got []string, want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// right wants the folders to hold what was rendered, and nothing else.
func (b *bench) right() {
	b.t.Helper()
	for _, f := range b.files() {
		if why, err := differs(f); why != "" || err != nil {
			b.t.Errorf("%s: %s, %v", f.Path, why, err)
		}
	}
	for _, folder := range []string{b.o.ConfigFolder, b.o.ManifestFolder, filepath.Dir(b.o.ConfigFolder), filepath.Dir(b.o.ManifestFolder)} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range entries {
			path := filepath.Join(folder, e.Name())
			if !e.IsDir() && !slices.Contains(b.o.paths(), path) {
				b.t.Errorf("left: %s", path)
			}
		}
	}
}

func TestConfigurationsComeBeforeTheManifestsOfWhoReadsThem(t *testing.T) {
	b := newBench(t)
	b.wants(b.keep(),
		"written /etc/viplog/frontend/check-haproxy: missing",
		"written /etc/viplog/frontend/haproxy.cfg: missing",
		"written /etc/viplog/frontend/keepalived.conf: missing",
		"written /etc/kubernetes/manifests/viplog-haproxy.yaml: missing",
		"written /etc/kubernetes/manifests/viplog-keepalived.yaml: missing")
	b.right()
}

// state is what a write of a file would change.
func state(t testing.TB, paths []string) string {
	t.Helper()
	var all strings.Builder
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&all, path, info.Sys().(*syscall.Stat_t).Ino, info.ModTime().UnixNano(), info.Mode())
	}
	return all.String()
}

func TestAHundredLooksWriteNothing(t *testing.T) {
	b := newBench(t)
	b.keep()
	b.started()
	b.wants(b.keep(), reloadedKeepalived)
	paths := append(b.o.paths(), b.o.run(nameKeepalived, fileReload), b.o.run(nameKeepalived, fileLoaded), b.o.ConfigFolder, b.o.ManifestFolder,
		filepath.Dir(b.o.ManifestFolder))
	before := state(t, paths)
	for range 100 {
		b.wants(b.keep())
	}
	if diff := cmp.Diff(before, state(t, paths)); diff != "" {
		t.Error(diff)
	}
	b.keeper = &Keeper{Options: b.keeper.Options, Node: b.node} // after a restart of viplog neither
	b.wants(b.keep())
	if diff := cmp.Diff(before, state(t, paths)); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
}

// TestWhatWasDoneToAFileIsUndoneInOneLook goes through each file and each thing that can happen to it.
func TestWhatWasDoneToAFileIsUndoneInOneLook(t *testing.T) {
	harms := []struct {
		name, why string
		do        func(f File) error
	}{
		{"deleted", "missing", func(f File) error { return os.Remove(f.Path) }},
		{"edited by hand", "changed from line 3", func(f File) error {
			lines := bytes.Split(f.Content, []byte("\n"))
			lines[2] = []byte("# by hand")
			return os.WriteFile(f.Path, bytes.Join(lines, []byte("\n")), f.Mode)
		}},
		{"added to", "changed from line", func(f File) error { return os.WriteFile(f.Path, append(slices.Clone(f.Content), "more\n"...), f.Mode) }},
		{"half written", "cut short after 100 bytes", func(f File) error { return os.Truncate(f.Path, 100) }},
		{"empty", "cut short after 0 bytes", func(f File) error { return os.Truncate(f.Path, 0) }},
		{"made readable", "its mode was 0666", func(f File) error { return os.Chmod(f.Path, 0o666) }},
		{"made a link", "no regular file: L---------", func(f File) error {
			return errors.Join(os.Remove(f.Path), os.Symlink("/dev/null", f.Path))
		}},
		{"made a folder", "no regular file: d---------", func(f File) error { return errors.Join(os.Remove(f.Path), os.Mkdir(f.Path, 0o700)) }},
	}
	b := newBench(t)
	b.keep()
	for _, f := range b.files() {
		for _, h := range harms {
			if err := h.do(f); err != nil {
				t.Fatal(err)
			}
			changes, err := b.keeper.Keep(b.files())
			if err != nil || len(changes) != 1 || changes[0].What != Restored || changes[0].Of != f.Path || !strings.HasPrefix(changes[0].Why, h.why) {
				t.Errorf("%s %s: %v, %v", f.Path, h.name, changes, err)
			}
			b.right()
		}
	}
	if _, err := os.Stat("/dev/null"); err != nil {
		t.Error("what a link pointed to is gone")
	}
}

func TestWhatACrashLeftIsCleaned(t *testing.T) {
	b := newBench(t)
	b.keep()
	for _, f := range b.files() {
		if err := os.WriteFile(temporary(f.Path), f.Content[:50], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(f.Path, 50); err != nil { // and the file itself
			t.Fatal(err)
		}
		changes, err := b.keeper.Keep(b.files())
		want := []Change{{Cleaned, temporary(f.Path), "left by a write that did not end"}, {Restored, f.Path, "cut short after 50 bytes"}}
		if diff := cmp.Diff(want, changes); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		b.right()
	}
}

func TestAnEditOfThePlanIsNoTampering(t *testing.T) {
	b := newBench(t)
	b.keep()
	b.plan.Backends = append(b.plan.Backends, addr("10.0.0.5"))
	got := b.keep()
	if len(got) != 1 || !strings.HasPrefix(got[0], "written /etc/viplog/frontend/haproxy.cfg: changed from line ") {
		t.Errorf("got %q", got)
	}
	b.right()
}

func TestAMemberThatIsLeftAloneLosesItsCheckOnly(t *testing.T) {
	b := newBench(t)
	b.keep()
	b.started()
	b.wants(b.keep(), reloadedKeepalived)
	b.plan.Members = b.plan.Members[:1]
	got := b.keep()
	if len(got) != 3 || !strings.HasPrefix(got[0], "written /etc/viplog/frontend/keepalived.conf: changed from line ") ||
		got[1] != "removed /etc/viplog/frontend/check-haproxy: the plan has no use for it" || got[2] != reloadedKeepalived {
		t.Errorf("got %q", got)
	}
	b.right()
}

// TestADeletedFolderHasItsPodsStartedAnew, for a container has the old one mounted; and no Pod is touched whose folders are there.
func TestADeletedFolderHasItsPodsStartedAnew(t *testing.T) {
	b := newBench(t)
	b.keep()
	const dead = ": a folder of its Pod was deleted, and is another one now"
	haproxy, keepalived := "/etc/kubernetes/manifests/viplog-haproxy.yaml", "/etc/kubernetes/manifests/viplog-keepalived.yaml"
	for folder, want := range map[string][]string{
		b.o.run(nameHAProxy, ""):    {"removed " + haproxy + dead, "written " + haproxy + ": missing"},
		b.o.run(nameKeepalived, ""): {"removed " + keepalived + dead, "written " + keepalived + ": missing"},
		b.o.RunFolder: {
			"removed " + haproxy + dead, "removed " + keepalived + dead, "written " + haproxy + ": missing", "written " + keepalived + ": missing",
		},
		b.o.ConfigFolder: {
			"removed " + haproxy + dead, "removed " + keepalived + dead, "restored /etc/viplog/frontend/check-haproxy: missing",
			"restored /etc/viplog/frontend/haproxy.cfg: missing", "restored /etc/viplog/frontend/keepalived.conf: missing",
			"written " + haproxy + ": missing", "written " + keepalived + ": missing",
		},
	} {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		b.wants(b.keep(), want...)
		b.wants(b.keep())
		b.right()
	}
	if err := os.RemoveAll(b.o.RunFolder); err != nil { // by a start of the machine
		t.Fatal(err)
	}
	b.keeper = &Keeper{Options: b.keeper.Options, Node: b.node}
	b.wants(b.keep())
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	b := newBench(t)
	others := []string{filepath.Join(b.o.ManifestFolder, "etcd.yaml"), filepath.Join(filepath.Dir(b.o.ManifestFolder), ".viplog-other.new")}
	for _, path := range others {
		if err := os.WriteFile(path, []byte("other"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.keep()
	b.node.speaks = false
	for done := false; !done; {
		var err error
		if _, done, err = b.keeper.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range others {
		if data, err := os.ReadFile(path); err != nil || string(data) != "other" {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
}

func TestWhatWasNotRenderedForTheFoldersIsRefused(t *testing.T) {
	b := newBench(t)
	for _, files := range [][]File{nil, {{Path: "/etc/passwd", Content: []byte("x"), Mode: 0o600}}} {
		if changes, err := b.keeper.Keep(files); !errors.Is(err, ErrFiles) || changes != nil {
			t.Errorf("%v, %v", changes, err)
		}
	}
}

func TestWithoutAFolderOfManifestsThereIsAnError(t *testing.T) {
	b := newBench(t)
	if err := os.Remove(b.o.ManifestFolder); err != nil {
		t.Fatal(err)
	}
	changes, err := b.keeper.Keep(b.files())
	if !errors.Is(err, os.ErrNotExist) || len(changes) != 3 {
		t.Errorf("%v, %v", changes, err)
	}
	if err := os.Mkdir(b.o.ManifestFolder, 0o700); err != nil {
		t.Fatal(err)
	}
	b.keep()
	b.right()
}

// TestTheFolderOfManifestsNeverHoldsAnythingButManifests reads as the kubelet does, while files are changed, deleted, cut and taken away.
func TestTheFolderOfManifestsNeverHoldsAnythingButManifests(t *testing.T) {
	b := newBench(t)
	var stop atomic.Bool
	var seen atomic.Int64
	read := make(chan error, 1)
	go func() { read <- readManifests(b.o.ManifestFolder, &stop, &seen) }()
	b.node.speaks = false
	for i := 0; i < 60 || seen.Load() < 100; i++ {
		b.keeper.Options.HAProxy = fmt.Sprintf("haproxy:2.6.%d", i)
		b.keep()
		switch i % 3 {
		case 0:
			if err := os.Remove(b.o.manifest(nameHAProxy)); err != nil {
				t.Fatal(err)
			}
		case 1:
			for done := false; !done; {
				var err error
				if _, done, err = b.keeper.Remove(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	stop.Store(true)
	if err := <-read; err != nil {
		t.Error(err)
	}
}

// readManifests reads each file whose name has no dot first, until it is stopped or finds one that is not a whole Pod.
func readManifests(folder string, stop *atomic.Bool, seen *atomic.Int64) error {
	for !stop.Load() {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			var pod corev1.Pod
			if err != nil || yaml.UnmarshalStrict(data, &pod) != nil || pod.Kind != "Pod" || len(pod.Spec.Volumes) != 2 || e.Name()[0] == '.' {
				seen.Store(1 << 30)
				return fmt.Errorf("%s: %v:\n%s", e.Name(), err, data)
			}
			seen.Add(1)
		}
	}
	return nil
}

func TestTheVIPOfADeadKeepalivedIsTakenOffAtTheSecondLook(t *testing.T) {
	b := newBench(t)
	b.node.held = []netip.Addr{addr("10.0.0.2"), b.plan.VIP}
	b.keep()
	b.keep()
	if len(b.node.held) != 2 {
		t.Fatal("the VIP of a living Keepalived was taken off")
	}
	b.node.speaks = false
	b.wants(b.keep())
	b.node.speaks = true // it had reloaded
	b.wants(b.keep())
	b.node.speaks = false
	b.wants(b.keep())
	if len(b.node.held) != 2 {
		t.Fatal("it was taken off at the first look")
	}
	b.wants(b.keep(), "taken off eth0: 10.0.0.71 was left there by a Keepalived that is gone")
	if !slices.Equal(b.node.held, []netip.Addr{addr("10.0.0.2")}) {
		t.Errorf("left: %v", b.node.held)
	}
	b.wants(b.keep())
}

// TestAVIPThatThePlanHasChangedIsTakenOffToo has the plan edited while neither viplog nor Keepalived runs.
func TestAVIPThatThePlanHasChangedIsTakenOffToo(t *testing.T) {
	b := newBench(t)
	b.keep()
	old := b.plan.VIP
	b.node.held, b.node.speaks = []netip.Addr{old}, false
	b.keeper = &Keeper{Options: b.keeper.Options, Node: b.node, silent: 1} // one look ago
	b.plan.VIP = addr("10.0.0.72")
	if got := b.keep(); len(b.node.held) != 0 || got[0] != "taken off eth0: 10.0.0.71 was left there by a Keepalived that is gone" {
		t.Errorf("%q; held: %v", got, b.node.held)
	}
}

// TestAGuardNeedsNoPlan is a viplog that has begun anew and does not reach the log.
func TestAGuardNeedsNoPlan(t *testing.T) {
	b := newBench(t)
	b.keep()
	b.node.held, b.node.speaks = []netip.Addr{b.plan.VIP}, false
	if err := os.Truncate(b.o.config(fileHAProxy), 9); err != nil { // not its matter
		t.Fatal(err)
	}
	b.keeper = &Keeper{Options: b.keeper.Options, Node: b.node}
	var all []Change
	for range looks {
		changes, err := b.keeper.Guard()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, changes...)
	}
	b.wants(b.lines(all), "taken off eth0: 10.0.0.71 was left there by a Keepalived that is gone")
	if len(b.node.held) > 0 {
		t.Errorf("held: %v", b.node.held)
	}
}

func TestANodeThatCannotBeAskedIsAnErrorAndChangesNothing(t *testing.T) {
	b := newBench(t)
	b.node.err = errors.New("no answer")
	if changes, err := b.keeper.Keep(b.files()); !errors.Is(err, b.node.err) || len(changes) != 0 {
		t.Errorf("%v, %v", changes, err)
	}
}

// started leaves what a Keepalived does that runs, or was killed.
func (b *bench) started() {
	b.t.Helper()
	for _, name := range []string{filePID, fileChildPID} {
		if err := os.WriteFile(b.o.run(nameKeepalived, name), []byte("1\n"), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestAKeepalivedOfSomebodyElseHoldsNothingUp speaks VRRP all the time.
func TestAKeepalivedOfSomebodyElseHoldsNothingUp(t *testing.T) {
	b := newBench(t)
	b.keep()
	b.started()
	for range 3 {
		if _, done, err := b.keeper.Remove(); done || err != nil {
			t.Errorf("while ours runs: %v, %v", done, err)
		}
	}
	for _, name := range []string{filePID, fileChildPID} { // as it does when it ends
		if err := os.Remove(b.o.run(nameKeepalived, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, done, err := b.keeper.Remove(); !done || err != nil {
		t.Errorf("after ours has ended: %v, %v", done, err)
	}
}

// TestAProcessIDThatWentWithItsFolderIsNoEnd has a Keepalived that runs on in the deleted folder while its node leaves.
func TestAProcessIDThatWentWithItsFolderIsNoEnd(t *testing.T) {
	for name, folderOf := range map[string]func(Options) string{
		"its own":        func(o Options) string { return o.run(nameKeepalived, "") },
		"that of both":   func(o Options) string { return o.RunFolder },
		"configurations": func(o Options) string { return o.ConfigFolder },
	} {
		for when, deleted := range map[string]func(b *bench, remove func() bool){
			"before": func(b *bench, remove func() bool) { // and a look finds it, and makes another one
				b.delete(folderOf(b.o))
				b.keep()
				remove()
			},
			"meanwhile": func(b *bench, remove func() bool) {
				remove()
				b.delete(folderOf(b.o))
			},
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				b := newBench(t)
				b.node.held = []netip.Addr{b.plan.VIP}
				b.keep()
				b.started()
				remove := func() (done bool) {
					_, done, err := b.keeper.Remove()
					if err != nil {
						t.Fatal(err)
					}
					return done
				}
				deleted(b, remove)
				for range 3 {
					if remove() || len(b.node.held) == 0 || !isThere(b.o.manifest(nameHAProxy)) {
						t.Fatalf("ended while Keepalived runs; held: %v", b.node.held)
					}
				}
				b.node.speaks = false
				remove()
				if !remove() {
					t.Error("not ended although nobody speaks VRRP")
				}
			})
		}
	}
}

func (b *bench) delete(folder string) {
	b.t.Helper()
	if err := os.RemoveAll(folder); err != nil {
		b.t.Fatal(err)
	}
}

// TestAKeepalivedThatNeverBeganIsNotWaitedFor has one of somebody else, which speaks VRRP all the time.
func TestAKeepalivedThatNeverBeganIsNotWaitedFor(t *testing.T) {
	b := newBench(t)
	b.keep()
	done := false
	for range 2 {
		var err error
		if _, done, err = b.keeper.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if !done {
		t.Error("it is waited for")
	}
}

func TestWhoLeavesThePlanKeepsNothing(t *testing.T) {
	b := newBench(t)
	b.node.held = []netip.Addr{b.plan.VIP}
	b.keep()
	step := func(wantDone bool, want ...string) {
		t.Helper()
		changes, done, err := b.keeper.Remove()
		if err != nil || done != wantDone {
			t.Errorf("done: %v, %v", done, err)
		}
		b.wants(b.lines(changes), want...)
	}
	b.started()
	step(false, "removed /etc/kubernetes/manifests/viplog-keepalived.yaml: the plan has no use for it")
	step(false) // the kubelet takes its time
	b.node.speaks = false
	step(false)
	step(true,
		"taken off eth0: 10.0.0.71 was left there by a Keepalived that is gone",
		"removed /etc/kubernetes/manifests/viplog-haproxy.yaml: the plan has no use for it",
		"removed /etc/viplog/frontend/keepalived.conf: the plan has no use for it",
		"removed /etc/viplog/frontend/haproxy.cfg: the plan has no use for it",
		"removed /etc/viplog/frontend/check-haproxy: the plan has no use for it")
	step(true)
	left := 0
	for _, folder := range []string{b.o.ConfigFolder, b.o.ManifestFolder, b.o.run(nameHAProxy, ""), b.o.run(nameKeepalived, "")} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		left += len(entries)
	}
	if left > 0 || len(b.node.held) > 0 {
		t.Errorf("left: %d files and %v", left, b.node.held)
	}
	b.node.speaks = true
	b.keep() // it comes back
	b.right()
}

// TestANodeThatCrashedAndThenLeftIsCleanedByItsOwnConfiguration has a Keeper that never knew the VIP.
func TestANodeThatCrashedAndThenLeftIsCleanedByItsOwnConfiguration(t *testing.T) {
	b := newBench(t)
	b.keep()
	b.node.held, b.node.speaks = []netip.Addr{b.plan.VIP}, false
	k := &Keeper{Options: b.keeper.Options, Node: b.node}
	for range looks {
		if _, _, err := k.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.node.held) != 0 {
		t.Errorf("held: %v", b.node.held)
	}
}

// BenchmarkALook is what a Keeper costs each second where nothing is wrong.
func BenchmarkALook(b *testing.B) {
	bench := newBench(b)
	bench.keep()
	files := bench.files()
	newMaster(b, bench.o)
	bench.keep()
	for b.Loop() {
		if changes, err := bench.keeper.Keep(files); err != nil || len(changes) > 0 {
			b.Fatal(changes, err)
		}
	}
}
