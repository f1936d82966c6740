package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// logWriter writes lines in the background. Whoever writes never waits, so that a reader of the log that hangs takes nobody's lease;
// lines that there is no room for are lost, and counted.
type logWriter struct {
	to    io.Writer
	lines chan []byte
	lost  atomic.Uint64
	over  chan struct{} // closed when nothing more is to be written
	once  sync.Once
	ended chan struct{}
}

// logRoom is how many lines may wait: those of a node that takes over ten thousand addresses.
const logRoom = 1 << 16

func newLogWriter(to io.Writer) *logWriter {
	w := &logWriter{to: to, lines: make(chan []byte, logRoom), over: make(chan struct{}), ended: make(chan struct{})}
	go w.run()
	return w
}

// Write implements io.Writer, for one line a call.
func (w *logWriter) Write(line []byte) (int, error) {
	select {
	case w.lines <- bytes.Clone(line):
	default:
		w.lost.Add(1)
	}
	return len(line), nil
}

func (w *logWriter) run() {
	defer close(w.ended)
	for {
		select {
		case line := <-w.lines:
			w.write(line)
		case <-w.over:
			for len(w.lines) > 0 {
				w.write(<-w.lines)
			}
			return
		}
	}
}

func (w *logWriter) write(line []byte) {
	_, _ = w.to.Write(line)
	if lost := w.lost.Swap(0); lost > 0 {
		fmt.Fprintf(w.to, "{\"level\":\"WARN\",\"msg\":\"lines of this log were lost: its reader is too slow\",\"lines\":%d}\n", lost)
	}
}

// close writes what waits, if it can within a second. What is written after it is lost: a part that took too long to stop may still
// have something to say.
func (w *logWriter) close() {
	w.once.Do(func() { close(w.over) })
	select {
	case <-w.ended:
	case <-time.After(time.Second):
	}
}
