package main

import (
	"bytes"
	"log/slog"
	"testing"
	"time"
)

func TestARepeatedMessageIsSaidOnceAMinuteWithItsNumber(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	plain := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	log := slog.New(newWithoutRepeats(plain, func() time.Time { return now }))
	for i := range 130 {
		log.Error("away", "try", i)
		log.With("lock", "x").Error("away", "try", i) // of one origin
		if i == 10 {
			log.Info("away") // another level is another message
			log.Error("back")
		}
		now = now.Add(time.Second)
	}
	const want = `level=ERROR msg=away try=0
level=INFO msg=away
level=ERROR msg=back
level=ERROR msg=away try=60 repeated=119
level=ERROR msg=away try=120 repeated=119
`
	if out.String() != want {
		t.Errorf("said:\n%swant:\n%s", out.String(), want)
	}
}
