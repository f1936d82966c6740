package kube

import (
	"container/heap"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"viplog/core/control"
	"viplog/core/ledger"
)

// writersAtOnce bounds how many statuses are written at a time: enough for an API server of some cores to be busy, too few for a fail-over of thousands
// of addresses to crowd out what else asks it.
const writersAtOnce = 8

// noFact is the sequence of a look that no fact is the reason of: nothing published waits for it.
const noFact = math.MaxUint64

// holds is how many tries that fail hold up what is published, with their pauses for longer than a node waits. One status that the API server never takes,
// as by a policy of its namespace, is not to delay each new address of all others.
const holds = 8

// writer knows which statuses are to be looked at, and since which fact.
type writer struct {
	mu    sync.Mutex
	more  *sync.Cond
	dirty map[ledger.ServiceKey]uint64 // to be looked at since a fact
	busy  map[ledger.ServiceKey]uint64 // being looked at, or waiting for another try
	order []ledger.ServiceKey          // those of dirty that are not busy, the first the longest
	open  sequences                    // of dirty and busy

	folded  uint64                                // what follows from facts up to this one has been touched
	highest uint64                                // of what was said to be published
	written map[ledger.ServiceKey]*corev1.Service // what writes have left, until the caches show it
	tries   map[ledger.ServiceKey]int             // in a row that failed
	vain    map[ledger.ServiceKey]bool            // tried in vain for long: what is published does not wait for them
	epoch   int                                   // of resets, so that a late end of an earlier one counts for nothing
	away    int                                   // tries in a row to which no API server answered
	until   time.Time                             // nobody tries before this

	wrote chan struct{} // capacity 1: publishedNow may be higher
}

func newWriter() *writer {
	w := &writer{wrote: make(chan struct{}, 1)}
	w.more = sync.NewCond(&w.mu)
	w.reset()
	return w
}

// reset forgets all: a controller that takes over looks at every Service, and says nothing before it has.
func (w *writer) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty, w.busy = map[ledger.ServiceKey]uint64{}, map[ledger.ServiceKey]uint64{}
	w.written, w.tries = map[ledger.ServiceKey]*corev1.Service{}, map[ledger.ServiceKey]int{}
	w.vain = map[ledger.ServiceKey]bool{}
	w.order, w.open, w.folded, w.highest = nil, newSequences(), 0, 0
	w.epoch++
}

// touch has Services looked at. Folded is the last fact that this takes account of; 0 for what comes from elsewhere.
func (w *writer) touch(all []control.Touched, folded uint64) {
	w.mu.Lock()
	for _, t := range all {
		w.mark(t.Service, t.Sequence)
	}
	w.folded = max(w.folded, folded)
	w.mu.Unlock()
	w.more.Broadcast()
	signal(w.wrote)
}

func (w *writer) mark(key ledger.ServiceKey, sequence uint64) {
	if w.vain[key] {
		sequence = noFact
	}
	old, known := w.dirty[key]
	switch {
	case !known:
		if _, is := w.busy[key]; !is {
			w.order = append(w.order, key)
		}
	case sequence < old:
		w.open.remove(old)
	default:
		return
	}
	w.dirty[key] = sequence
	w.open.add(sequence)
}

// take gives the Service that has waited longest, once there is one; false when the context has ended.
func (w *writer) take(ctx context.Context) (key ledger.ServiceKey, epoch int, ok bool) {
	defer context.AfterFunc(ctx, func() {
		w.mu.Lock() // or who has just seen that the context goes on would begin to wait afterwards
		defer w.mu.Unlock()
		w.more.Broadcast()
	})()
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.order) == 0 && ctx.Err() == nil {
		w.more.Wait()
	}
	if ctx.Err() != nil {
		return key, 0, false
	}
	key = w.order[0]
	w.order = w.order[1:]
	w.busy[key] = w.dirty[key]
	delete(w.dirty, key)
	return key, w.epoch, true
}

// done ends the look at a Service.
func (w *writer) done(key ledger.ServiceKey, epoch int) {
	w.mu.Lock()
	delete(w.tries, key)
	delete(w.vain, key)
	w.finish(key, epoch, false)
	w.mu.Unlock()
	w.more.Broadcast()
	signal(w.wrote)
}

// later has it looked at again after a while, and counts how often that was in a row.
func (w *writer) later(key ledger.ServiceKey, epoch int) (tries int) {
	tries = w.failed(key, epoch)
	signal(w.wrote)
	time.AfterFunc(backoff(tries), func() {
		w.mu.Lock()
		w.finish(key, epoch, true)
		w.mu.Unlock()
		w.more.Broadcast()
		signal(w.wrote)
	})
	return tries
}

func (w *writer) failed(key ledger.ServiceKey, epoch int) (tries int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries[key]++
	if w.tries[key] >= holds && epoch == w.epoch {
		w.letGo(key)
	}
	return w.tries[key]
}

func (w *writer) finish(key ledger.ServiceKey, epoch int, again bool) {
	if epoch != w.epoch {
		return
	}
	since, dirty := w.busy[key], false
	delete(w.busy, key)
	if _, dirty = w.dirty[key]; dirty {
		w.order = append(w.order, key)
	}
	if again {
		w.mark(key, since)
	}
	w.open.remove(since)
}

// letGo has what is published wait no longer for a Service that is being looked at.
func (w *writer) letGo(key ledger.ServiceKey) {
	w.vain[key] = true
	for _, looks := range []map[ledger.ServiceKey]uint64{w.dirty, w.busy} {
		if since, is := looks[key]; is && since != noFact {
			w.open.remove(since)
			w.open.add(noFact)
			looks[key] = noFact
		}
	}
}

// isIdle tells whether all statuses are written, but for those that failed and are to be tried again.
func (w *writer) isIdle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.order) > 0 {
		return false
	}
	for key := range w.busy {
		if w.tries[key] == 0 {
			return false
		}
	}
	return true
}

// publishedNow is the sequence up to which every status that follows from facts is written, or was tried in vain for long. It never falls while one
// controller writes.
func (w *writer) publishedNow() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.folded
	if first, any := w.open.least(); any && first <= now {
		now = first - 1
	}
	w.highest = max(w.highest, now)
	return w.highest
}

// current is the newest that is known of a Service: as the cache shows it, or as a write left it that the cache does not show yet.
func (k *Kube) current(key ledger.ServiceKey) *corev1.Service {
	v := k.caches.service(key)
	k.writer.mu.Lock()
	defer k.writer.mu.Unlock()
	left := k.writer.written[key]
	if left == nil {
		return v
	}
	if v != nil && v.UID == left.UID {
		if order, err := resourceversion.CompareResourceVersion(v.ResourceVersion, left.ResourceVersion); err == nil && order < 0 {
			return left
		}
	}
	delete(k.writer.written, key)
	return v
}

// write looks at Services and writes the statuses that are not what they should be, until the context ends.
func (k *Kube) write(ctx context.Context) {
	for k.waitForServer(ctx) {
		key, epoch, ok := k.writer.take(ctx)
		if !ok {
			return
		}
		err := k.writeOne(ctx, key)
		switch {
		case err == nil, apierrors.IsNotFound(err):
		case isOver(ctx, err):
			return
		case apierrors.IsInvalid(err) && !isAnother(err):
			k.logger.Error("the API server does not take a status", "service", key, "error", err)
		default:
			away := k.noteAway(err)
			if k.writer.later(key, epoch) == 5 && !away {
				k.logger.Warn("a status is not written yet", "service", key, "error", err)
			}
			continue
		}
		k.writer.done(key, epoch)
	}
}

// isAnother tells whether a write was refused because the object of that name is another one than was seen: the cache will show it. The
// API server calls that an invalid change of the uid.
func isAnother(err error) bool {
	var refused apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &refused) || refused.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(refused.Status().Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}

// waitForServer waits while no API server answers; false when the context has ended.
func (k *Kube) waitForServer(ctx context.Context) bool {
	k.writer.mu.Lock()
	wait := time.Until(k.writer.until)
	k.writer.mu.Unlock()
	if wait > 0 {
		pause(ctx, wait)
	}
	return ctx.Err() == nil
}

// noteAway tells whether an error means that no API server answers, and slows all writers down while that is so.
func (k *Kube) noteAway(err error) bool {
	k.writer.mu.Lock()
	defer k.writer.mu.Unlock()
	if apierrors.ReasonForError(err) != metav1.StatusReasonUnknown {
		k.writer.away = 0
		return false
	}
	if now := time.Now(); now.After(k.writer.until) {
		if k.writer.away++; k.writer.away == 3 {
			k.logger.Warn("the API server does not answer; statuses wait", "error", err)
		}
		k.writer.until = now.Add(min(time.Second, backoff(k.writer.away)))
	}
	return true
}

// requestTimeout bounds one write.
const requestTimeout = 10 * time.Second

// writeOne brings one Service's status to what it should be.
func (k *Kube) writeOne(ctx context.Context, key ledger.ServiceKey) error {
	v := k.current(key)
	view := k.view.Load()
	if v == nil || view == nil {
		return nil
	}
	shown := observedService(v)
	want := control.StatusOf(view.state, Source, view.owners, shown)
	if shown.Status.Equal(want) {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	left, err := k.patchStatus(bounded, v, shown.Status, want, !control.IsOurs(view.state, shown))
	if err != nil {
		return err
	}
	k.writer.mu.Lock()
	k.writer.written[key] = left
	k.writer.away = 0
	k.writer.mu.Unlock()
	return nil
}

// sequences is a bag of numbers that knows the least.
type sequences struct {
	count map[uint64]int
	heap  uintHeap // of all numbers, and of some that are no longer there
}

func newSequences() sequences { return sequences{count: map[uint64]int{}} }

func (s *sequences) add(n uint64) {
	if s.count[n]++; s.count[n] == 1 {
		heap.Push(&s.heap, n)
	}
}

func (s *sequences) remove(n uint64) {
	if s.count[n]--; s.count[n] <= 0 {
		delete(s.count, n)
	}
}

func (s *sequences) least() (uint64, bool) {
	for len(s.heap) > 0 {
		if s.count[s.heap[0]] > 0 {
			return s.heap[0], true
		}
		heap.Pop(&s.heap)
	}
	return 0, false
}

type uintHeap []uint64

// Len implements heap.Interface.
func (h uintHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h uintHeap) Less(i, j int) bool { return h[i] < h[j] }

// Swap implements heap.Interface.
func (h uintHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *uintHeap) Push(x any) { *h = append(*h, x.(uint64)) }

// Pop implements heap.Interface.
func (h *uintHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
