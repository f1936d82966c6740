package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress says on a terminal how far long work is. It is silent anywhere else, and for the first second.
type progress struct {
	out   io.Writer // nil: silent
	what  string
	total uint64
	next  time.Time
	shown bool
}

const progressInterval = time.Second

func newProgress(out io.Writer, what string, total uint64) *progress {
	p := &progress{what: what, total: total, next: time.Now().Add(progressInterval)}
	if f, ok := out.(*os.File); ok && isTerminal(f) {
		p.out = out
	}
	return p
}

// step notes that so many of the total are done.
func (p *progress) step(done uint64) {
	if p.out == nil || done%256 != 0 || time.Now().Before(p.next) {
		return
	}
	p.next, p.shown = time.Now().Add(progressInterval), true
	fmt.Fprintf(p.out, "\r%s %d of %d (%d %%)", p.what, done, p.total, done*100/max(p.total, 1))
}

// say shows a line of its own.
func (p *progress) say(line string) {
	if p.out == nil || time.Now().Before(p.next) {
		return
	}
	p.next, p.shown = time.Now().Add(progressInterval), true
	fmt.Fprint(p.out, "\r\033[K", line)
}

// end clears the line.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.out, "\r\033[K")
	}
}
