package timeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestAPageOpensOnWhatFollowsTheSetUp(t *testing.T) {
	for _, name := range []string{"power", "double"} {
		p := open(t, sample(t, name))
		if from, to := p.window(); from < 9*time.Second || from > 10*time.Second || to < 10500*time.Millisecond || to > 12*time.Second {
			t.Errorf("%s opens on %v to %v", name, from, to)
		}
		p.screenshot(name)
		p.dark()
		p.screenshot(name + "-dark")
	}
}

// A fault was planted, and a campaign has found it: whoever has read no code sees that several nodes announce one address at once.
func TestAPlantedDoubleAnnouncementIsSeen(t *testing.T) {
	p := open(t, sample(t, "planted"))
	p.screenshot("planted")
	for what, want := range map[string]string{
		`document.querySelector('#verdict').textContent`:              "✗ violated 0.023185 exclusive announcement: lb-2 and lb-3 both answer for 192.0.2.0, both leased",
		`document.querySelector('.finding.sort-overlap').textContent`: "Two nodes answer for 192.0.2.0 at once, lb-2 and lb-3, then lb-1 as well: for 977 ms, and still at the end.",
		`document.querySelector('.violation text').textContent`:       "Violated: exclusive announcement: lb-2 and lb-3 both answer for 192.0.2.0, both leased (found 4 times).",
		`document.querySelector('.overlap-text').textContent`:         "lb-2 and lb-3 answer at once: 977 ms",
	} {
		if got := value[string](p, what); !strings.HasSuffix(got, want) {
			t.Errorf("%s is %q, want %q", what, got, want)
		}
	}
	// The red field lies over the bars of all three.
	under := value[int](p, `(() => {
		const field = document.querySelector('.overlap-fill').getBoundingClientRect();
		return [...document.querySelectorAll('.bar')].filter(bar => {
			const box = bar.getBoundingClientRect();
			return bar.textContent.endsWith('announces it') && box.top >= field.top && box.bottom <= field.bottom && Math.abs(box.width - field.width) < 6;
		}).length;
	})()`)
	if under != 3 {
		t.Errorf("%d bars are in the red field, want 3", under)
	}
	if rows := value[int](p, `document.querySelectorAll('.finding.sort-violation').length`); rows != 1 {
		t.Errorf("the violation is told %d times", rows)
	}
}

func TestAClickOnASentenceGoesThere(t *testing.T) {
	p := open(t, sample(t, "double"))
	p.press("0")
	if from, to := p.window(); from > 0 || to < 13*time.Second {
		t.Fatalf("the whole is %v to %v", from, to)
	}
	p.click(".finding.sort-overlap")
	from, to := p.window()
	if from > 10650*time.Millisecond || to < 10802*time.Millisecond || to-from > 300*time.Millisecond {
		t.Errorf("an overlap from 10.650 to 10.802 s is shown as %v to %v", from, to)
	}
	if drawn := value[string](p, `document.querySelector('.overlap-text').textContent`); drawn != "lb-1 and lb-2 answer at once: 152 ms" {
		t.Errorf("the drawing says %q", drawn)
	}
	if current := value[string](p, `document.querySelector('.finding[aria-current]').textContent`); !strings.Contains(current, "Two nodes") {
		t.Errorf("the sentence is not marked: %q", current)
	}
	p.screenshot("overlap")
	p.click(".finding.sort-black-hole")
	if from, to := p.window(); from > 10*time.Second || to < 10500*time.Millisecond || to-from > time.Second {
		t.Errorf("a black hole from 10.000 to 10.500 s is shown as %v to %v", from, to)
	}
	if drawn := value[string](p, `document.querySelector('.state-dark .label').textContent`); drawn != "nobody answers for 500 ms" {
		t.Errorf("the drawing says %q", drawn)
	}
}

func TestHoveringARecordShowsItsTextAndWhatItRestsOn(t *testing.T) {
	of := sample(t, "power")
	p := open(t, of)
	for range 9 { // to the last, and not so far that the votes are out of view
		p.press("j")
	}
	p.press(kb.Enter)
	for range 4 {
		p.press("-")
	}
	p.press(kb.Escape)
	p.settle()
	failed := record(t, of, "log", "appended @15")
	p.hover(alone(failed))
	p.waits(`!document.getElementById('tip').hidden`)
	if text := p.text("tip"); !strings.Contains(text, "10.497348 s  log  appended @15: viplog.NodeFailed.v1") || !strings.Contains(text, "voter/cp-1  voted 10.0.1.2 @9") {
		t.Errorf("the tip says %q", text)
	}
	for _, voter := range []string{"voter/cp-1", "voter/cp-3"} {
		arrow := fmt.Sprintf(`.arrow[data-cause="%d"][data-effect="%d"]`, record(t, of, voter, "voted"), failed)
		if !value[bool](p, fmt.Sprintf(`!!document.querySelector(%q)`, arrow)) {
			t.Errorf("no arrow from %s", voter)
		}
	}
	p.screenshot("arrows")
	do(p, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 2, 2))
	p.waits(`document.getElementById('tip').hidden && !document.querySelector('.arrow')`)
}

func TestRecordsAreReachedByKeys(t *testing.T) {
	of := sample(t, "power")
	p := open(t, of)
	p.press("j")
	p.press("j")
	want := record(t, of, "lb-2", "down")
	if got := value[string](p, `document.getElementById('plot').dataset.record`); got != fmt.Sprint(want) {
		t.Errorf("record %s is looked at, want %d", got, want)
	}
	if said := p.text("status"); !strings.Contains(said, "lb-2  down") {
		t.Errorf("a screen reader hears %q", said)
	}
	p.press("k")
	if said := p.text("status"); !strings.Contains(said, "loses power") {
		t.Errorf("a screen reader hears %q", said)
	}
	p.press(kb.Escape)
	p.waits(`document.getElementById('tip').hidden`)
	for range 60 { // beyond the last one
		p.press("j")
	}
	p.waits(fmt.Sprintf(`document.getElementById('plot').dataset.record === '%d'`, len(of.Records)-1))
}

func TestKeysZoomAndMove(t *testing.T) {
	p := open(t, sample(t, "power"))
	from, to := p.window()
	p.press("+")
	inFrom, inTo := p.window()
	if inFrom <= from || inTo >= to {
		t.Errorf("+ zooms from %v–%v to %v–%v", from, to, inFrom, inTo)
	}
	p.press(kb.ArrowRight)
	if laterFrom, laterTo := p.window(); laterFrom <= inFrom || laterTo <= inTo {
		t.Errorf("the right arrow goes to %v–%v", laterFrom, laterTo)
	}
	p.press(kb.ArrowLeft)
	p.press("-")
	if backFrom, backTo := p.window(); (backFrom-from).Abs() > time.Millisecond || (backTo-to).Abs() > time.Millisecond {
		t.Errorf("and back is %v–%v, want %v–%v", backFrom, backTo, from, to)
	}
	p.press("0")
	if allFrom, allTo := p.window(); allFrom > 0 || allTo < 13100*time.Millisecond {
		t.Errorf("0 shows %v–%v", allFrom, allTo)
	}
	p.press("f")
	if f, e := p.window(); f != from || e != to {
		t.Errorf("f shows %v–%v, want %v–%v", f, e, from, to)
	}
	for range 60 { // as far as one can
		p.press("+")
	}
	if f, e := p.window(); e-f < 500 || e-f > 2*time.Microsecond {
		t.Errorf("the closest is %v", e-f)
	}
}

func TestWheelAndDragMoveTheDrawing(t *testing.T) {
	p := open(t, sample(t, "power"))
	from, to := p.window()
	x, y := p.center("#plot")
	wheel := func(dy float64) {
		call(p, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseWheel, X: x, Y: y, DeltaX: 0.1, DeltaY: dy})
	}
	wheel(-200)
	p.waits(fmt.Sprintf(`Number(document.getElementById('plot').dataset.from) > %d`, from))
	inFrom, inTo := p.window()
	if inTo >= to {
		t.Errorf("the wheel zooms to %v–%v", inFrom, inTo)
	}
	do(p, chromedp.DragAndDropXY(x, y, x+200, y, 5))
	if f, _ := p.window(); f >= inFrom {
		t.Errorf("dragging to the right shows %v, which is not before %v", f, inFrom)
	}
	_, axis := p.center("#axis")
	do(p, chromedp.DragAndDropXY(x, axis, x+150, axis, 5))
	if f, e := p.window(); e-f >= (inTo-inFrom)/2 {
		t.Errorf("a drag on the axis zooms to %v", e-f)
	}
}

func TestSearchStepsThroughHits(t *testing.T) {
	of := sample(t, "power")
	p := open(t, of)
	p.press("/")
	p.press("voted cp-3")
	p.waits(`document.getElementById('hits').textContent === '1 hit'`)
	p.press(kb.Enter)
	p.waits(`document.getElementById('hits').textContent === '1 of 1'`)
	if got := value[string](p, `document.getElementById('plot').dataset.record`); got != fmt.Sprint(record(t, of, "voter/cp-3", "voted")) {
		t.Errorf("record %s is looked at", got)
	}
	p.press(kb.Escape)
	p.press("/")
	p.press("announced")
	p.waits(`document.getElementById('hits').textContent === '3 hits'`)
	p.press(kb.Enter)
	p.settle()
	if rows := value[[]string](p, `[...document.querySelectorAll('#table-body .what')].map(c => c.textContent)`); len(rows) != 1 || rows[0] != "announced 192.0.2.1 @13" {
		t.Errorf("the table has %q", rows)
	}
	p.screenshot("search")
	p.click("#plot")
	p.press("n") // round, to the set-up
	p.press("n")
	p.waits(`document.getElementById('hits').textContent === '2 of 3'`)
	if from, to := p.window(); from > 665*time.Millisecond || to < 665*time.Millisecond {
		t.Errorf("the hit of 0.665 s is not in %v–%v", from, to)
	}
	p.press("N")
	p.waits(`document.getElementById('hits').textContent === '1 of 3'`)
}

func TestTheTableFollowsTheDrawing(t *testing.T) {
	of := sample(t, "power")
	p := open(t, of)
	if got := p.text("count"); got != "10 of 39" {
		t.Errorf("at first %q", got)
	}
	p.press("0")
	p.waits(`document.getElementById('count').textContent === '39 of 39'`)
	p.click("#table-body .row:nth-child(3)")
	p.press(kb.ArrowDown)
	if got := value[string](p, `document.querySelector('#table-body [aria-current] .what').textContent`); !strings.Contains(got, "appended @4") {
		t.Errorf("the fourth row is %q", got)
	}
}

func TestTheCommandIsCopied(t *testing.T) {
	of := sample(t, "power")
	p := open(t, of)
	if _, err := chromedp.CallBrowser(p.ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "clipboard-read"}, Setting: browser.PermissionSettingGranted,
	}); err != nil {
		t.Fatal(err)
	}
	p.click("#copy")
	p.waits(`document.getElementById('copy').textContent === 'Copied'`)
	if got := value[string](p, `navigator.clipboard.readText()`); got != of.Command {
		t.Errorf("the clipboard has %q", got)
	}
}

func TestLightAndDark(t *testing.T) {
	p := open(t, sample(t, "power"))
	ground := func() string { return value[string](p, `getComputedStyle(document.body).backgroundColor`) }
	light := ground()
	p.click("#theme")
	dark := ground()
	if light == dark || p.text("theme") != "Light" {
		t.Errorf("%s and %s, and the button says %s", light, dark, p.text("theme"))
	}
	p.press("t")
	if ground() != light {
		t.Error("t does not go back")
	}
	p.dark()
	p.settle()
	if ground() != light {
		t.Error("what was chosen gives way to the system's choice")
	}
}

func TestHelpOpensAndCloses(t *testing.T) {
	p := open(t, sample(t, "power"))
	p.press("?")
	p.waits(`document.getElementById('help').open`)
	if text := p.text("help"); !strings.Contains(text, "zoom in") {
		t.Errorf("help says %q", text)
	}
	p.screenshot("help")
	p.press(kb.Escape)
	p.waits(`!document.getElementById('help').open`)
}

// Whoever has no pointer reaches everything, sees where they are, and whoever does not see hears what it is.
func TestEverythingIsReachedByTab(t *testing.T) {
	p := open(t, sample(t, "double"))
	seen := map[string]bool{}
	for range 40 {
		p.press(kb.Tab)
		at := value[[]string](p, `(() => {
			const e = document.activeElement, s = getComputedStyle(e);
			return [e.id || e.dataset.do || e.className || e.tagName, e.textContent + (e.getAttribute('aria-label') || ''), s.outlineStyle];
		})()`)
		if at[0] == "BODY" {
			break
		}
		if at[2] == "none" {
			t.Errorf("%s has no visible focus", at[0])
		}
		if at[1] == "" && at[0] != "table" {
			t.Errorf("%s has no name", at[0])
		}
		seen[at[0]] = true
	}
	for _, want := range []string{"copy", "theme", "help-open", "finding sort-overlap", "in", "search", "overview", "plot", "table"} {
		if !seen[want] {
			t.Errorf("%s is not reached: %v", want, seen)
		}
	}
}

func TestHostileTextsAreShownAndDoNothing(t *testing.T) {
	p := open(t, hostileTimeline(t))
	p.press("0")
	p.press("j")
	p.press("/")
	p.press("onerror")
	p.press(kb.Enter)
	p.settle()
	if title := value[string](p, `document.title`); !strings.HasPrefix(title, "</script>") {
		t.Errorf("the title is %q", title)
	}
	if value[int](p, `document.querySelectorAll('img').length`) != 0 {
		t.Error("a record has become an image")
	}
	p.screenshot("hostile")
}

func TestAnEmptyTimelineOpens(t *testing.T) {
	p := openWhen(t, Timeline{Title: "nothing"}, "[data-ready=true] #rows g")
	p.press("j")
	p.press("f")
	p.press("+")
	if text := p.text("findings"); !strings.Contains(text, "Nothing") {
		t.Errorf("the summary says %q", text)
	}
}

func TestALargeTraceIsFluent(t *testing.T) {
	of := large(20_000, 50)
	p := open(t, of)
	for _, keys := range []string{"0", "+", "+", "+", "j", "j"} {
		p.press(keys)
		p.settle()
		if n := value[int](p, `document.querySelectorAll('#rows *').length`); n > 6000 {
			t.Errorf("%d elements are drawn", n)
		}
	}
	p.screenshot("large")
	p.press("0")
	times := value[[]float64](p, `(async () => {
		const times = [];
		for (let i = 0; i < 20; i++) {
			const began = performance.now();
			document.querySelector('[data-do=' + (i % 2 ? 'in' : 'right') + ']').click();
			await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
			times.push(performance.now() - began);
		}
		return times;
	})()`)
	t.Logf("milliseconds for each of 20 moves: %.0f", times)
}
