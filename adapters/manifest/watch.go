package manifest

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pace is how fast a watch looks.
type pace struct {
	settle time.Duration // quiet time after a change, so that a change of several files is one
	latest time.Duration // at most this long after the first change, however busy the folder
	reread time.Duration // safety net: links whose targets change elsewhere, lost notices, a folder made anew
}

var usualPace = pace{settle: 100 * time.Millisecond, latest: time.Second, reread: 10 * time.Second}

// Watch reads a folder as Read does and calls back with the first result, and then whenever the content or the error
// has changed, until the context ends (nil). It returns an error if the folder cannot be watched from the start.
//
// With an error, the callback gets the last good content (empty before the first) beside it: a broken or half-written
// file never makes a Service disappear. What still parses cannot be told from what is meant, so programs write beside
// the file and rename over it. The callback runs on Watch's goroutine.
func Watch(ctx context.Context, folder string, changed func(Manifests, error)) error {
	return watch(ctx, folder, usualPace, changed)
}

func watch(ctx context.Context, folder string, p pace, changed func(Manifests, error)) error {
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("watch manifests: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("watch manifests: %s: not a folder", folder)
	}
	notices, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch manifests in %s: %w", folder, err)
	}
	defer notices.Close()
	if err := notices.Add(folder); err != nil {
		return fmt.Errorf("watch manifests in %s: %w", folder, err)
	}
	w := watcher{folder: folder, pace: p, notices: notices, changed: changed}
	w.look()
	return w.run(ctx)
}

type watcher struct {
	pace
	folder  string
	notices *fsnotify.Watcher
	changed func(Manifests, error)

	told bool
	good Manifests
	last string // the last error, "" for none

	quiet <-chan time.Time // when to look; nil: nothing has changed
	since time.Time        // the first change not yet looked at
}

func (w *watcher) run(ctx context.Context) error {
	reread := time.NewTicker(w.reread)
	defer reread.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-w.notices.Events:
			if event.Op != fsnotify.Chmod {
				w.soon()
			}
		case <-w.notices.Errors: // an overflow, for one: something was missed
			w.soon()
		case <-reread.C:
			w.look()
		case <-w.quiet:
			w.look()
		}
	}
}

func (w *watcher) soon() {
	now := time.Now()
	if w.quiet == nil {
		w.since = now
	}
	w.quiet = time.After(min(w.settle, w.since.Add(w.latest).Sub(now)))
}

// look reads the folder and tells what is new. A view of files of two states, some from before a swap and some from
// after, could lack a Service that moved between files: then it tells nothing and looks again soon.
func (w *watcher) look() {
	w.quiet = nil
	before, folders, err := find(w.folder)
	for _, folder := range folders {
		// What cannot be watched (gone, or past the kernel's limit) is found by the next reread.
		_ = w.notices.Add(folder)
	}
	view, readErr := Read([]string{w.folder}, nil)
	after, _, errAfter := find(w.folder)
	if (err == nil) != (errAfter == nil) || !slices.EqualFunc(before, after, file.same) {
		w.soon()
		return
	}
	w.tell(view, readErr)
}

func (w *watcher) tell(view Manifests, err error) {
	message := ""
	if err != nil {
		message, view = err.Error(), w.good
	}
	if w.told && message == w.last && reflect.DeepEqual(view, w.good) {
		return
	}
	w.told, w.good, w.last = true, view, message
	w.changed(view, err)
}
