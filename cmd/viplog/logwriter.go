package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// logWriter writes lines in the background. Whoever writes never waits, so that a reader of the log that hangs takes nobody's lease;
// lines that there is no room for are lost, and counted.
type logWriter struct {
	to    io.Writer
	lines chan []byte
	lost  atomic.Uint64
	ended chan struct{}
}

// logRoom is how many lines may wait: those of a node that takes over ten thousand addresses.
const logRoom = 1 << 16

func newLogWriter(to io.Writer) *logWriter {
	w := &logWriter{to: to, lines: make(chan []byte, logRoom), ended: make(chan struct{})}
	go w.run()
	return w
}

// Write implements io.Writer, for one line a call.
func (w *logWriter) Write(line []byte) (int, error) {
	select {
	case w.lines <- append([]byte(nil), line...):
	default:
		w.lost.Add(1)
	}
	return len(line), nil
}

func (w *logWriter) run() {
	defer close(w.ended)
	for line := range w.lines {
		_, _ = w.to.Write(line)
		if lost := w.lost.Swap(0); lost > 0 {
			fmt.Fprintf(w.to, "{\"level\":\"WARN\",\"msg\":\"lines of this log were lost: its reader is too slow\",\"lines\":%d}\n", lost)
		}
	}
}

// close writes what waits, if it can within a second. Nothing may be written after it.
func (w *logWriter) close() {
	close(w.lines)
	select {
	case <-w.ended:
	case <-time.After(time.Second):
	}
}
