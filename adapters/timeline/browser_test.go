package timeline

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tab is a page in a browser, with what went wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string

	mu       sync.Mutex
	trouble  []string // on its console, and uncaught
	requests []string
}

// lacks ends a test that cannot run here; where everything must run, it fails.
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("VIPLOG_REQUIRE") == "all" {
		t.Fatal("needs " + what)
	}
	t.Skip("skipped: needs " + what)
}

func browserPath(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	lacks(t, "chromium; .ci/run installs it")
	return ""
}

// shared is one browser for all tests, each of which has a tab of its own.
var shared struct {
	sync.Once
	ctx    context.Context
	err    error
	close  []func()
	folder string
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, free := range slices.Backward(shared.close) {
		free()
	}
	if shared.folder != "" {
		os.RemoveAll(shared.folder)
	}
	os.Exit(code)
}

func sharedBrowser(t *testing.T) context.Context {
	t.Helper()
	path := browserPath(t)
	shared.Do(func() {
		if shared.folder, shared.err = os.MkdirTemp("", "viplog-browser-"); shared.err != nil {
			return
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(shared.folder),
			chromedp.WindowSize(1400, 1000))
		allocated, free := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, closeBrowser := chromedp.NewContext(allocated)
		shared.ctx, shared.close = ctx, []func(){free, closeBrowser}
		_, shared.err = chromedp.Run(ctx, chromedp.Navigate("about:blank"))
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.ctx
}

// open renders a timeline to a file and opens it.
func open(t *testing.T, of Timeline) *tab {
	t.Helper()
	return openWhen(t, of, "[data-ready=true] #rows .mark")
}

// openWhen waits for something of the page.
func openWhen(t *testing.T, of Timeline, ready string) *tab {
	t.Helper()
	file := filepath.Join(t.TempDir(), "timeline.html")
	var page bytes.Buffer
	if err := Page(&page, of); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, closeTab := chromedp.NewContext(sharedBrowser(t))
	t.Cleanup(closeTab)
	p := &tab{t: t, ctx: ctx, url: "file://" + file}
	t.Cleanup(p.isCalm)
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	call(p, network.Enable, network.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	do(p, chromedp.Navigate(p.url))
	do(p, chromedp.WaitReady(ready))
	return p
}

func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		p.trouble = append(p.trouble, fmt.Sprintf("console: %s", e.Type))
	case *runtime.EventExceptionThrown:
		p.trouble = append(p.trouble, fmt.Sprintf("uncaught: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		p.trouble = append(p.trouble, "log: "+e.Entry.Text)
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	}
}

// isCalm holds at the end of every browser test: no error, and nothing asked for but the page itself.
func (p *tab) isCalm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.trouble) > 0 {
		p.t.Errorf("the page is in trouble: %q", p.trouble)
	}
	for _, url := range p.requests {
		if url != p.url && url != "data:," {
			p.t.Errorf("the page asks for %s", url)
		}
	}
	if len(p.requests) == 0 {
		p.t.Error("no request was seen, not even the one for the page: the test hears nothing")
	}
}

// do lets the browser do something within a time that is long enough for a slow machine.
func do[T any](p *tab, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, 30*time.Second)
	defer stop()
	out, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func call[P, R any](p *tab, command cdp.Command[P, R], parameters P) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, command, parameters); err != nil {
		p.t.Fatal(err)
	}
}

// value evaluates a script.
func value[T any](p *tab, script string) T {
	p.t.Helper()
	return do(p, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// waits until a script says true.
func (p *tab) waits(script string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Poll[bool](script, chromedp.WithPollingTimeout(10*time.Second))); err != nil {
		p.t.Fatalf("never %s: %v", script, err)
	}
}

// settle waits until what was asked for is drawn.
func (p *tab) settle() {
	p.t.Helper()
	value[bool](p, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// window is the part that is drawn.
func (p *tab) window() (from, to time.Duration) {
	p.t.Helper()
	p.settle()
	both := value[[]int64](p, `['from', 'to'].map(k => Number(document.getElementById('plot').dataset[k]))`)
	return time.Duration(both[0]), time.Duration(both[1])
}

func (p *tab) text(id string) string {
	p.t.Helper()
	return value[string](p, fmt.Sprintf(`document.getElementById(%q).textContent`, id))
}

func (p *tab) dark() {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
}

// screenshot writes a picture to look at, to VIPLOG_ARTIFACTS if that is a folder.
func (p *tab) screenshot(name string) {
	p.t.Helper()
	folder := os.Getenv("VIPLOG_ARTIFACTS")
	if folder == "" {
		folder = p.t.TempDir()
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	p.settle()
	picture := do(p, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(folder, "timeline-"+name+".png"), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// center is the middle of an element on the screen.
func (p *tab) center(selector string) (x, y float64) {
	p.t.Helper()
	both := value[[]float64](p, fmt.Sprintf(`(() => {
		const found = document.querySelector(%q);
		if (found instanceof HTMLElement) found.scrollIntoView({ block: 'nearest' });
		const box = found.getBoundingClientRect();
		return [box.x + box.width / 2, box.y + box.height / 2];
	})()`, selector))
	return both[0], both[1]
}

// hover moves the pointer there as a hand would: from another place.
func (p *tab) hover(selector string) {
	p.t.Helper()
	x, y := p.center(selector)
	do(p, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 2, 2))
	do(p, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y))
}

func (p *tab) click(selector string) {
	p.t.Helper()
	x, y := p.center(selector)
	do(p, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y))
	do(p, chromedp.MouseClickXY(x, y))
}

// press presses keys one after the other. A text goes with its key, so that a key that the page takes writes nothing.
func (p *tab) press(keys string) {
	p.t.Helper()
	for _, r := range keys {
		events := kb.Encode(r)
		for _, e := range events {
			if e.Type == kb.KeyChar {
				events[0].Text, events[0].UnmodifiedText = e.Text, e.UnmodifiedText
			}
		}
		for _, e := range events {
			if e.Type != kb.KeyChar {
				call(p, input.DispatchKeyEvent, *e)
			}
		}
	}
}

// record is the index of an actor's last record that begins with a text.
func record(t *testing.T, of Timeline, actor, text string) int {
	t.Helper()
	found := -1
	for i, e := range build(of).Events {
		if e.Actor == actor && strings.HasPrefix(e.What, text) {
			found = i
		}
	}
	if found < 0 {
		t.Fatalf("no record of %s begins with %q", actor, text)
	}
	return found
}

// alone is the selector of a record's mark when nothing is merged with it.
func alone(i int) string { return fmt.Sprintf(`.mark[data-records="%d"]`, i) }
