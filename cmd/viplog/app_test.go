package main

import (
	"context"
	"errors"
	"slices"
	"testing"

	"go.uber.org/fx"

	"viplog/adapters/clusterfile"
)

func TestEveryCommandsPartsFitTogether(t *testing.T) {
	for name, parts := range map[string]fx.Option{
		"dev":     fx.Options(devParts(streams{}, &clusterfile.File{}, devFlags{}), fx.Invoke(func(*devCluster) {})),
		"clients": fx.Options(clientParts(clientFlags{}), fx.Invoke(func(*client) {})),
	} {
		t.Run(name, func(t *testing.T) {
			if err := fx.ValidateApp(parts); err != nil {
				t.Error(err)
			}
		})
	}
}

// recorded is a part that notes what happens to it.
type recorded struct {
	name  string
	notes *[]string
	fails bool
}

func (r *recorded) start(context.Context) error {
	*r.notes = append(*r.notes, "start "+r.name)
	if r.fails {
		return errBroken
	}
	return nil
}

func (r *recorded) stop(context.Context) error {
	*r.notes = append(*r.notes, "stop "+r.name)
	return nil
}

var errBroken = errors.New("broken")

type lower struct{ *recorded }

type upper struct{ *recorded }

func TestPartsStartInTheOrderOfNeedsAndStopInReverseAlsoAfterAFailure(t *testing.T) {
	for _, test := range []struct {
		name  string
		fails bool
		want  []string
		err   error
	}{
		{"all well", false, []string{"start lower", "start upper", "use", "stop upper", "stop lower"}, nil},
		{"a part fails", true, []string{"start lower", "start upper", "stop lower"}, errBroken},
	} {
		t.Run(test.name, func(t *testing.T) {
			var notes []string
			type deps struct {
				fx.In
				Upper *upper
			}
			err := withApp(t.Context(), func(context.Context, deps) error {
				notes = append(notes, "use")
				return nil
			},
				part[*upper]("upper", func(*lower) *upper { return &upper{&recorded{"upper", &notes, test.fails}} }),
				part[*lower]("lower", func() *lower { return &lower{&recorded{"lower", &notes, false}} }))
			if !errors.Is(err, test.err) || !slices.Equal(notes, test.want) {
				t.Errorf("notes %q, error %v; want %q, %v", notes, err, test.want, test.err)
			}
		})
	}
}
