package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// kubectl runs a program of the first name for `kubectl viplog …`, and one of the second to complete it. Both may be links to viplog.
const (
	pluginName         = "kubectl-viplog"
	pluginCompleteName = "kubectl_complete-viplog"
)

// pluginArgs are the arguments of a program that was called by a name, and whether that is kubectl's.
func pluginArgs(program string, args []string) ([]string, bool) {
	switch strings.TrimSuffix(filepath.Base(program), ".exe") {
	case pluginName:
		return args, true
	case pluginCompleteName:
		return append([]string{cobra.ShellCompRequestCmd}, args...), true
	}
	return args, false
}

// asPlugin lets every text of a command and of those below it say what is typed there.
func asPlugin(cmd *cobra.Command) {
	const typed = "kubectl viplog"
	if !cmd.HasParent() {
		cmd.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: typed}
	}
	inText := strings.NewReplacer("`viplog ", "`"+typed+" ", "'viplog ", "'"+typed+" ")
	cmd.Short, cmd.Long = inText.Replace(cmd.Short), inText.Replace(cmd.Long)
	var lines []string
	for line := range strings.Lines(cmd.Example) {
		line = strings.Replace(line, "  viplog ", "  "+typed+" ", 1)
		lines = append(lines, strings.ReplaceAll(line, "| viplog ", "| "+typed+" "))
	}
	cmd.Example = strings.Join(lines, "")
	for _, below := range cmd.Commands() {
		asPlugin(below)
	}
}
