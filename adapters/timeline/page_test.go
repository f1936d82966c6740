package timeline

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"viplog/core/trace"
)

func pageOf(t testing.TB, of Timeline) string {
	t.Helper()
	var out bytes.Buffer
	if err := Page(&out, of); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// hostile is in every text of a timeline, where it must be text.
const hostile = `</script></style><img src=x onerror="document.title='broken'">{{data}}<!--<script>alert(1)//\u2028'"` + "\u2028\x00\xff"

func hostileTimeline(t testing.TB) Timeline {
	of := sample(t, "double")
	of.Title, of.Verdict, of.Why, of.Command, of.Script = hostile, hostile, hostile, hostile, hostile
	of.Nodes = append(of.Nodes, hostile)
	for _, kind := range append(nodeKinds, trace.Fault, trace.Heal, trace.Overlap, trace.Violated, trace.Served, trace.Dark, hostile) {
		of.Records = append(of.Records, trace.Record{At: of.End, Actor: hostile, Note: trace.Note{Kind: kind, Address: vip, By: hostile, Gap: 1e9, Text: hostile}})
	}
	return of
}

func TestThePageIsTheSameBytesEachTime(t *testing.T) {
	for _, of := range []Timeline{sample(t, "power"), sample(t, "double"), large(2000, 30)} {
		if first, second := pageOf(t, of), pageOf(t, of); first != second {
			t.Errorf("%s: two pages differ", of.Title)
		}
	}
}

func TestThePageNamesNothingOutsideItself(t *testing.T) {
	page := pageOf(t, sample(t, "power"))
	for _, found := range regexp.MustCompile(`[a-z]+://[^\s"'<)]*`).FindAllString(page, -1) {
		if found != "http://www.w3.org/2000/svg" {
			t.Errorf("the page names %s", found)
		}
	}
	if strings.Contains(page, "{{") {
		t.Error("a placeholder is left")
	}
	if !strings.Contains(page, "default-src &#39;none&#39;; img-src data:; style-src &#39;sha256-") {
		t.Error("the policy is not strict")
	}
}

func TestTextsOfAPageAreOnlyTexts(t *testing.T) {
	page := pageOf(t, hostileTimeline(t))
	for _, piece := range []string{"<img", "onerror=\"doc", "</script><", "<!--<"} {
		if strings.Contains(page, piece) {
			t.Errorf("%q is in the page", piece)
		}
	}
	if n := strings.Count(page, "</script>"); n != 2 {
		t.Errorf("%d scripts end, want the data and the code", n)
	}
	_, data, _ := strings.Cut(page, `id="data">`)
	data, _, _ = strings.Cut(data, "</script>")
	var read blob
	if err := json.Unmarshal([]byte(data), &read); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(hostile, "\ufffd"); read.Script != want {
		t.Errorf("the script is read as %q, want %q", read.Script, want)
	}
}

func TestAnEmptyTimelineIsAPageAndText(t *testing.T) {
	if page := pageOf(t, Timeline{}); !strings.Contains(page, "<title>Timeline</title>") {
		t.Error("no title")
	}
	if text := textOf(t, Timeline{}, 80, true); !strings.Contains(text, "seconds") {
		t.Errorf("got %q", text)
	}
}

func BenchmarkPage(b *testing.B) {
	of := large(20_000, 50)
	for b.Loop() {
		b.SetBytes(int64(len(pageOf(b, of))))
	}
}
