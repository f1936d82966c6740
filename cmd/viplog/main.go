// Command viplog is a bundled load balancer for bare-metal Kubernetes. One file per verb.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker in released builds.
var version = "devel"

// streams are a command's standard streams, so that tests run commands in their own process.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// exitError carries an exit code of rulings: 1 failed, 2 usage, 3 nothing to do for this mode.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	std := streams{os.Stdin, os.Stdout, os.Stderr}
	args, ofKubectl := pluginArgs(os.Args[0], os.Args[1:])
	root := newRoot(std)
	if ofKubectl {
		asPlugin(root)
	}
	os.Exit(execute(ctx, root, args, std))
}

// run executes one command line and gives its exit code.
func run(ctx context.Context, args []string, std streams) int {
	return execute(ctx, newRoot(std), args, std)
}

func execute(ctx context.Context, root *cobra.Command, args []string, std streams) int {
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	err := root.ExecuteContext(ctx)
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if text := exit.err.Error(); text != "" {
			fmt.Fprintln(std.err, text)
		}
		return exit.code
	default: // cobra's own: unknown flags, commands and arguments
		fmt.Fprintf(std.err, "%s\nSee '%s --help'.\n", err, root.DisplayName())
		return 2
	}
}

func failed(err error) error { return exitError{1, err} }

// asFailure is failed, unless the error has an exit code already.
func asFailure(err error) error {
	if _, coded := errors.AsType[exitError](err); coded {
		return err
	}
	return failed(err)
}

func newRoot(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "viplog",
		Short:         "A bundled load balancer for bare-metal Kubernetes that can show, explain, predict and replay what it does",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs, // else an unknown command
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newApply(std), newController(std), newDev(std), newDoctor(std), newDrain(std), newExplain(std), newExport(std), newGet(std), newHistory(std),
		newInit(std), newManifests(std), newNode(std), newPlan(std), newProbe(std), newRebalance(std), newRelease(std), newRender(std), newRun(std), newSim(std), newUndrain(std),
		newValidate(std), newVersion(std), newWhatif(std), newWho(std))
	return root
}

func newVersion(std streams) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print viplog's version",
		Example: "  viplog version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(std.out, "viplog", version)
			return err
		},
	}
}
