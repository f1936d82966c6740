package campaign

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"viplog/sim"
	"viplog/sim/scenario"
)

// Shrunk is the smallest scenario found that fails as another one does.
type Shrunk struct {
	Script string
	Why    string
	Runs   int // that it took
}

// Shrink makes a scenario that fails smaller, as long as it fails alike: it leaves out verbs (delta debugging: Zeller and
// Hildebrandt, IEEE TSE 2002), hosts and options, and makes times rounder. Progress, if not nil, is called with each better one.
// The context's end ends the search with the best one so far. An error says why there is nothing to shrink.
func Shrink(ctx context.Context, path, script string, logs scenario.Logs, choose scenario.Chooser, progress func(Shrunk)) (Shrunk, error) {
	k := &shrinker{ctx: ctx, path: path, logs: logs, choose: choose, progress: progress}
	s, err := scenario.Parse(path, []byte(script), logs)
	if err != nil {
		return Shrunk{}, err
	}
	first := s.Once(ctx, choose)
	if first.Verdict != sim.Violates {
		return Shrunk{}, fmt.Errorf("%s is %s: only a scenario that is violated can be shrunk", path, first.Verdict)
	}
	k.failure = failureOf(first)
	k.repairs = slices.ContainsFunc(strings.Split(script, "\n"), isRepair)
	k.best = Shrunk{script, first.Why, 1}
	k.cut(first)
	for before := ""; before != k.best.Script && ctx.Err() == nil; {
		before = k.best.Script
		k.leaveOut()
		k.smallerCluster()
		k.rounder()
	}
	return k.best, nil
}

// failureOf names what went wrong, so that a smaller scenario with another fault is not taken for it.
func failureOf(r scenario.Result) string {
	if len(r.Violations) > 0 {
		return r.Violations[0].Auditor
	}
	name, _, _ := strings.Cut(r.Why, ":")
	return strings.Fields(name + " ?")[0]
}

type shrinker struct {
	ctx      context.Context
	path     string
	logs     scenario.Logs
	choose   scenario.Chooser
	progress func(Shrunk)
	failure  string
	repairs  bool // the scenario ends all trouble
	best     Shrunk
}

// try keeps a candidate if it fails alike.
func (k *shrinker) try(lines []string) bool {
	script := strings.Join(lines, "\n") + "\n"
	if script == k.best.Script || k.ctx.Err() != nil {
		return false
	}
	s, err := scenario.Parse(k.path, []byte(script), k.logs)
	if err != nil || k.failure == "converge" && k.repairs && !slices.ContainsFunc(lines, isRepair) {
		return false
	}
	k.best.Runs++
	r := s.Once(k.ctx, k.choose)
	if r.Verdict != sim.Violates || failureOf(r) != k.failure {
		return false
	}
	k.best.Script, k.best.Why = script, r.Why
	if k.progress != nil {
		k.progress(k.best)
	}
	return true
}

func (k *shrinker) lines() []string {
	return strings.Split(strings.TrimSuffix(k.best.Script, "\n"), "\n")
}

// cut drops goldens, comments, and what comes after the failure.
func (k *shrinker) cut(r scenario.Result) {
	script, _, _ := strings.Cut(k.best.Script, "\n-- ")
	k.best.Script = strings.TrimSuffix(script, "\n") + "\n"
	plain := slices.DeleteFunc(k.lines(), func(line string) bool { return verbs(line) == "" })
	k.try(plain)
	if len(r.Violations) == 0 {
		return
	}
	end := r.Violations[0].At + time.Millisecond
	kept := slices.DeleteFunc(k.lines(), func(line string) bool {
		var at time.Duration
		if n, _ := fmt.Sscanf(line, "at %s", durationOf(&at)); n == 1 {
			return at > end
		}
		return !isSetUp(line) && !isFinal(line)
	})
	at := slices.IndexFunc(kept, isFinal)
	if at < 0 {
		at = len(kept)
	}
	k.try(slices.Insert(kept, at, fmt.Sprintf("at %v run 1ms", end)))
}

// durationOf reads a time by fmt.Sscanf.
func durationOf(d *time.Duration) any { return (*scanned)(d) }

type scanned time.Duration

// Scan implements fmt.Scanner.
func (s *scanned) Scan(state fmt.ScanState, _ rune) error {
	token, err := state.Token(true, nil)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(string(token))
	*s = scanned(d)
	return err
}

// verbs is a line without its comment.
func verbs(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return strings.TrimSpace(line)
}

func isFirst(line string) bool {
	return strings.HasPrefix(line, "cluster ") || line == "cluster" || strings.HasPrefix(line, "replay ")
}

func isSetUp(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	return isFirst(line) || slices.Contains([]string{"settle", "service", "run", "poll"}, word)
}

func isFinal(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	return slices.Contains([]string{"assert", "mark", "verdict"}, word)
}

// leaveOut drops lines: first halves of them, at last single ones.
func (k *shrinker) leaveOut() {
	for size := (len(k.lines()) + 1) / 2; size >= 1; size /= 2 {
		for from := 1; from < len(k.lines()); {
			lines := k.lines()
			to := min(from+size, len(lines))
			if !k.try(slices.Delete(slices.Clone(lines), from, to)) {
				from = to
			}
		}
	}
}

// isRepair tells whether a line ends all trouble: a world that does not come to rest shows something only if it could.
func isRepair(line string) bool { return strings.HasSuffix(line, "repair") }

var option = regexp.MustCompile(` ([a-z]+)=(\S+)`)

// smallerCluster takes options off the first line, and makes numbers smaller.
func (k *shrinker) smallerCluster() {
	for _, found := range option.FindAllStringSubmatch(k.lines()[0], -1) {
		lines := k.lines()
		without := strings.Replace(lines[0], found[0], "", 1)
		if k.try(append([]string{without}, lines[1:]...)) {
			continue
		}
		for n := range 8 {
			smaller := strings.Replace(lines[0], found[0], fmt.Sprintf(" %s=%d", found[1], n), 1)
			if smaller == lines[0] || k.try(append([]string{smaller}, lines[1:]...)) {
				break
			}
		}
	}
}

var duration = regexp.MustCompile(`\b\d[0-9.]*(?:ns|µs|ms|m|s|h)(?:[0-9.]+s)?\b`)

// rounder makes times rounder: whole seconds, tenths, hundredths.
func (k *shrinker) rounder() {
	for _, unit := range []time.Duration{10 * time.Second, time.Second, 100 * time.Millisecond, 10 * time.Millisecond} {
		for i := 1; i < len(k.lines()); i++ {
			for _, text := range duration.FindAllString(k.lines()[i], -1) {
				d, err := time.ParseDuration(text)
				if err != nil || d%unit == 0 {
					continue
				}
				for _, round := range []time.Duration{d.Truncate(unit), d.Truncate(unit) + unit} {
					lines := k.lines()
					lines[i] = strings.Replace(lines[i], text, round.String(), 1)
					if k.try(lines) {
						break
					}
				}
			}
		}
	}
}

// File is a shrunk scenario as a file to keep: with what it shows on top.
func (s Shrunk) File(found string) string {
	why := strings.ReplaceAll(s.Why, "\n", " ")
	return fmt.Sprintf("# (Say here in plain words what to see, and why.)\n#\n# Found by: %s\n# It showed: %s\n\n%s", found, why, s.Script)
}
