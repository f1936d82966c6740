package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// repeatsAfter is for how long a message that was said is not said again.
const repeatsAfter = time.Minute

// withoutRepeats is a handler that passes a message once a minute at most, whatever its attributes are, with the number of those it kept back in between as
// the attribute "repeated". It is for libraries that say each second that a server is away.
type withoutRepeats struct {
	slog.Handler
	said *said
}

// said is what handlers of one origin have passed.
type said struct {
	mu  sync.Mutex
	now func() time.Time
	of  map[saying]*passed // as many as a library has messages
}

type saying struct {
	level   slog.Level
	message string
}

type passed struct {
	at   time.Time
	kept int
}

func newWithoutRepeats(h slog.Handler, now func() time.Time) slog.Handler {
	return withoutRepeats{h, &said{now: now, of: map[saying]*passed{}}}
}

// Handle implements slog.Handler.
func (h withoutRepeats) Handle(ctx context.Context, r slog.Record) error {
	kept, passes := h.said.pass(saying{r.Level, r.Message})
	if !passes {
		return nil
	}
	if kept > 0 {
		r.AddAttrs(slog.Int("repeated", kept))
	}
	return h.Handler.Handle(ctx, r)
}

func (s *said) pass(what saying) (kept int, passes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	last := s.of[what]
	if last != nil && now.Sub(last.at) < repeatsAfter {
		last.kept++
		return 0, false
	}
	if last != nil {
		kept = last.kept
	}
	s.of[what] = &passed{at: now}
	return kept, true
}

// WithAttrs implements slog.Handler.
func (h withoutRepeats) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withoutRepeats{h.Handler.WithAttrs(attrs), h.said}
}

// WithGroup implements slog.Handler.
func (h withoutRepeats) WithGroup(name string) slog.Handler {
	return withoutRepeats{h.Handler.WithGroup(name), h.said}
}
