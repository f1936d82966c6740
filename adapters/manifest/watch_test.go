package manifest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const never = time.Hour

// byNotice leaves all to the kernel's notices, byReread all to the safety net.
var (
	byNotice = pace{settle: 20 * time.Millisecond, latest: 200 * time.Millisecond, reread: never}
	byReread = pace{settle: never, latest: never, reread: 30 * time.Millisecond}
)

type told struct {
	names string
	err   string
}

type watched struct {
	t       *testing.T
	updates chan told
}

// startWatch watches until the test ends.
func startWatch(t *testing.T, folder string, p pace) watched {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w, ended := watched{t, make(chan told, 1000)}, make(chan error, 1)
	go func() {
		ended <- watch(ctx, folder, p, func(m Manifests, err error) {
			u := told{names: names(m)}
			if err != nil {
				u.err = err.Error()
			}
			w.updates <- u
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the watch ended with %v", err)
		}
	})
	return w
}

func (w watched) next() told {
	w.t.Helper()
	select {
	case u := <-w.updates:
		return u
	case <-time.After(20 * time.Second):
		w.t.Fatal("no update")
		return told{}
	}
}

// wants takes the next update, which must be this one.
func (w watched) wants(services, err string) {
	w.t.Helper()
	u := w.next()
	if u.names != services || (err == "") != (u.err == "") || !strings.Contains(u.err, err) {
		w.t.Fatalf("got %q with error %q, want %q with %q", u.names, u.err, services, err)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// replace writes beside the file and renames over it, as editors and careful programs do.
func replace(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path+"~", []byte(text), 0o666), os.Rename(path+"~", path))
}

func TestWatchTellsEachChangeOnce(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": service("x", "a")})
	w := startWatch(t, folder, byNotice)
	w.wants("x/a", "")
	replace(t, filepath.Join(folder, "b.yaml"), service("x", "b"))
	w.wants("x/a x/b", "")
	replace(t, filepath.Join(folder, "b.yaml"), service("x", "c"))
	w.wants("x/a x/c", "")
	must(t, os.Remove(filepath.Join(folder, "a.yaml")))
	w.wants("x/c", "")
	// Neither the same content anew nor another file is a change, so the next update is that of the last line.
	replace(t, filepath.Join(folder, "b.yaml"), "# a comment\n"+service("x", "c"))
	write(t, folder, map[string]string{"notes.txt": "{"})
	replace(t, filepath.Join(folder, "d.yaml"), service("x", "d"))
	w.wants("x/c x/d", "")
}

func TestWatchOfAnEmptyFolderTellsSo(t *testing.T) {
	startWatch(t, t.TempDir(), byNotice).wants("", "")
}

func TestWatchFollowsNewSubFolders(t *testing.T) {
	folder := t.TempDir()
	w := startWatch(t, folder, byNotice)
	w.wants("", "")
	staged := t.TempDir()
	write(t, staged, map[string]string{"new/deep/a.yaml": service("x", "a")})
	must(t, os.Rename(filepath.Join(staged, "new"), filepath.Join(folder, "new")))
	w.wants("x/a", "")
	replace(t, filepath.Join(folder, "new/deep/a.yaml"), service("x", "b"))
	w.wants("x/b", "")
	must(t, os.RemoveAll(filepath.Join(folder, "new")))
	w.wants("", "")
}

func TestWatchKeepsTheLastGoodViewWhileAFileIsBroken(t *testing.T) {
	folder := t.TempDir()
	path, good := filepath.Join(folder, "a.yaml"), service("x", "a")+"---\n"+service("x", "b")
	write(t, folder, map[string]string{"a.yaml": good})
	w := startWatch(t, folder, byNotice)
	w.wants("x/a x/b", "")
	replace(t, path, good[:len(good)-10])
	w.wants("x/a x/b", "a.yaml:")
	// Another good file changes nothing while one is broken; the same error is not told again.
	replace(t, filepath.Join(folder, "c.yaml"), service("x", "c"))
	replace(t, path, "{")
	w.wants("x/a x/b", "a.yaml:1: not valid YAML")
	replace(t, path, good)
	w.wants("x/a x/b x/c", "")
	// Broken and mended without other changes: the end of the error is told too.
	replace(t, path, "{")
	w.wants("x/a x/b x/c", "a.yaml:1: not valid YAML")
	replace(t, path, good)
	w.wants("x/a x/b x/c", "")
}

// A ConfigMap volume: a.yaml -> ..data/a.yaml, ..data -> ..VERSION, and a new version is a new folder and a rename
// of the link. The Service that moves between the files is in every view.
func TestWatchFollowsTheSwapOfAConfigMapVolume(t *testing.T) {
	folder := t.TempDir()
	files := []string{"a.yaml", "b.yaml"}
	publish := func(version string, texts ...string) {
		for i, text := range texts {
			write(t, folder, map[string]string{"..v" + version + "/" + files[i]: text})
		}
		link := filepath.Join(folder, "..data")
		must(t, os.Symlink("..v"+version, link+"_tmp"), os.Rename(link+"_tmp", link))
	}
	publish("0", service("x", "moving"), "")
	for _, name := range files {
		must(t, os.Symlink("..data/"+name, filepath.Join(folder, name)))
	}
	w := startWatch(t, folder, byNotice)
	w.wants("x/moving", "")
	for i := range 10 {
		version := string(rune('1' + i))
		if i%2 == 0 {
			publish(version, "", service("x", "moving"))
		} else {
			publish(version, service("x", "moving"), "")
		}
	}
	publish("z", service("x", "moving"), service("x", "new"))
	w.wants("x/moving x/new", "")
	must(t, os.RemoveAll(filepath.Join(folder, "..v0")))
	publish("y", service("x", "last"), "")
	w.wants("x/last", "")
}

func TestWatchRereadsWhatNoNoticeTells(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	write(t, elsewhere, map[string]string{"a.yaml": service("x", "a")})
	must(t, os.Symlink(filepath.Join(elsewhere, "a.yaml"), filepath.Join(folder, "a.yaml")))
	w := startWatch(t, folder, byReread)
	w.wants("x/a", "")
	replace(t, filepath.Join(elsewhere, "a.yaml"), service("x", "b"))
	w.wants("x/b", "")
}

func TestWatchOutlivesItsFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "manifests")
	write(t, folder, map[string]string{"a.yaml": service("x", "a")})
	p := byNotice
	p.reread = 30 * time.Millisecond
	w := startWatch(t, folder, p)
	w.wants("x/a", "")
	must(t, os.Rename(folder, folder+".old"))
	w.wants("x/a", "no such file")
	must(t, os.Rename(folder+".old", folder))
	w.wants("x/a", "")
	replace(t, filepath.Join(folder, "a.yaml"), service("x", "b"))
	w.wants("x/b", "")
}

func TestWatchRefusesWhatIsNoFolder(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": ""})
	for path, want := range map[string]string{"missing": "no such file", "a.yaml": "not a folder"} {
		err := Watch(t.Context(), filepath.Join(folder, path), func(Manifests, error) { t.Error("called back") })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}
