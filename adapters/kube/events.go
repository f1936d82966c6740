package kube

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"viplog/core/control"
)

// teller keeps the Events that are to be written. An Event's name says what it is about, so that writing one again writes nothing.
type teller struct {
	mu      sync.Mutex
	waiting []eventToTell
	known   map[string]bool // the names of those that were not of facts, which are told by each look
	more    chan struct{}   // capacity 1
}

// eventToTell is one Event: of a fact, about a Service, or made already.
type eventToTell struct {
	fact control.Event
	made *eventsv1.Event
}

// mostEvents bounds what waits: the oldest are dropped. Statuses say how things are, Events only how they came to be.
const mostEvents = 8192

func newTeller() *teller {
	return &teller{known: map[string]bool{}, more: make(chan struct{}, 1)}
}

// reset forgets all: a controller that takes over tells anew what was not told long ago.
func (t *teller) reset() {
	t.mu.Lock()
	t.waiting, t.known = nil, map[string]bool{}
	t.mu.Unlock()
}

func (t *teller) add(events []control.Event) {
	for _, e := range events {
		t.put(eventToTell{fact: e})
	}
}

// now takes an Event that is of no fact, once, and tells whether it is new.
func (t *teller) now(e *eventsv1.Event) bool {
	t.mu.Lock()
	if len(t.known) >= mostEvents { // those that still hold are written again, which writes nothing
		clear(t.known)
	}
	known := t.known[e.Name]
	t.known[e.Name] = true
	t.mu.Unlock()
	if !known {
		t.put(eventToTell{made: e})
	}
	return !known
}

func (t *teller) put(e eventToTell) {
	t.mu.Lock()
	if t.waiting = append(t.waiting, e); len(t.waiting) > mostEvents {
		t.waiting = t.waiting[1:]
	}
	t.mu.Unlock()
	signal(t.more)
}

func (t *teller) next(ctx context.Context) (eventToTell, bool) {
	for {
		t.mu.Lock()
		if len(t.waiting) > 0 {
			e := t.waiting[0]
			t.waiting = t.waiting[1:]
			t.mu.Unlock()
			return e, true
		}
		t.mu.Unlock()
		select {
		case <-t.more:
		case <-ctx.Done():
			return eventToTell{}, false
		}
	}
}

// statusesFirst is how often an Event looks whether all statuses are written, and for how long at most it lets them go first.
const (
	statusesFirst   = 10 * time.Millisecond
	statusesPatient = 2 * time.Second
)

// tell writes Events one by one, behind the statuses, until the context ends.
func (k *Kube) tell(ctx context.Context) {
	for {
		waiting, ok := k.teller.next(ctx)
		if !ok {
			return
		}
		for waited := time.Duration(0); waited < statusesPatient && !k.writer.isIdle() && ctx.Err() == nil; waited += statusesFirst {
			pause(ctx, statusesFirst)
		}
		e := waiting.made
		if e == nil {
			e = k.eventOf(waiting.fact)
		}
		if e != nil {
			k.create(ctx, e)
		}
	}
}

// refusedTries is how often an Event is tried that the API server forbids: its rules may be on their way when it has just started.
const refusedTries = 3

// create writes an Event, unless it is there.
func (k *Kube) create(ctx context.Context, e *eventsv1.Event) {
	e.ReportingInstance = k.config.Identity
	for try := 1; k.waitForServer(ctx); try++ {
		bounded, cancel := context.WithTimeout(ctx, requestTimeout)
		_, err := k.config.Client.EventsV1().Events(e.Namespace).Create(bounded, e, metav1.CreateOptions{FieldManager: fieldManager})
		cancel()
		switch {
		case err == nil, apierrors.IsAlreadyExists(err), isOver(ctx, err):
			return
		case apierrors.IsInvalid(err), apierrors.IsNotFound(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause),
			isForbidden(err) && try >= refusedTries: // else it would hold up all others
			k.logger.Warn("the API server does not take an Event", "event", e.Name, "error", err)
			return
		}
		k.noteAway(err)
		pause(ctx, backoff(try))
	}
}

// isForbidden tells whether the API server has answered that it lets nobody, or not viplog, write this: a quota, a policy or a right that is missing.
func isForbidden(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) }

// eventOf makes the Event of a fact; nil where the Service is gone, or came into being after it.
func (k *Kube) eventOf(e control.Event) *eventsv1.Event {
	v := k.caches.service(e.Service)
	if v == nil || k.isOfAnother(e, v) {
		return nil
	}
	made := newEvent(serviceReference(v), e.Warning, e.Reason, e.Note)
	made.Name = fmt.Sprintf("%s.%s.%d", v.UID, strings.ToLower(e.Reason), e.Sequence)
	made.EventTime = metav1.NewMicroTime(time.Unix(0, e.Time))
	return made
}

// isOfAnother tells whether an Event is of a Service that had the name before: by the order of the log where it knows this one, else by what clocks
// of two hosts say.
func (k *Kube) isOfAnother(e control.Event, v *corev1.Service) bool {
	if view := k.view.Load(); view != nil {
		if held, known := view.state.ServiceSpec(e.Service); known && held.UID == string(v.UID) {
			return e.Sequence < view.state.ServiceSince(e.Service)
		}
	}
	return time.Unix(0, e.Time).Before(v.CreationTimestamp.Time)
}

// aboutService warns of what a Service declares, once for each text.
func aboutService(v *corev1.Service, reason, note string) *eventsv1.Event {
	e := newEvent(serviceReference(v), true, reason, note)
	e.Name = fmt.Sprintf("%s.%s.%s", v.UID, strings.ToLower(reason), shortHash(note))
	return e
}

// tellOfFile says something of the cluster file in an Event and in the process's log, once for each content of it.
func (k *Kube) tellOfFile(m *corev1.ConfigMap, warning bool, reason, note string) {
	if !k.teller.now(fileEvent(m, warning, reason, note)) {
		return
	}
	level := slog.LevelInfo
	if warning {
		level = slog.LevelWarn
	}
	k.logger.Log(context.Background(), level, "the cluster file of the ConfigMap", "reason", reason, "note", note)
}

// fileEvent says something of the cluster file, once for each content of it.
func fileEvent(m *corev1.ConfigMap, warning bool, reason, note string) *eventsv1.Event {
	e := newEvent(corev1.ObjectReference{
		APIVersion: "v1", Kind: "ConfigMap", Namespace: m.Namespace, Name: m.Name, UID: m.UID,
	}, warning, reason, note)
	e.Name = fmt.Sprintf("%s.%s.%s", m.UID, strings.ToLower(reason), shortHash(m.Data[clusterKey], note))
	return e
}

func serviceReference(v *corev1.Service) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: v.Namespace, Name: v.Name, UID: v.UID}
}

func newEvent(about corev1.ObjectReference, warning bool, reason, note string) *eventsv1.Event {
	kind := corev1.EventTypeNormal
	if warning {
		kind = corev1.EventTypeWarning
	}
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: about.Namespace}, EventTime: metav1.NowMicro(),
		ReportingController: "viplog", Action: reason, Reason: reason, Regarding: about, Note: control.Clip(note), Type: kind,
	}
}

func shortHash(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return fmt.Sprintf("%x", sum[:8])
}
