package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// readConfig sets the flags that a file names and the command line does not.
func readConfig(cmd *cobra.Command, path string) error {
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(document.Content) == 0 {
		return nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: flags and their values are needed, as in `data: /var/lib/viplog`", path, root.Line)
	}
	seen := map[string]int{}
	for i := 0; i < len(root.Content); i += 2 {
		name := root.Content[i]
		if line, twice := seen[name.Value]; twice {
			return fmt.Errorf("%s:%d: %s stands in line %d already", path, name.Line, name.Value, line)
		}
		seen[name.Value] = name.Line
		if err := setFlag(cmd.Flags(), root.Content[i], root.Content[i+1]); err != nil {
			return fmt.Errorf("%s:%d: %w", path, root.Content[i].Line, err)
		}
	}
	return nil
}

func setFlag(flags *pflag.FlagSet, name, value *yaml.Node) error {
	f := flags.Lookup(name.Value)
	if f == nil || name.Value == "config" || name.Value == "help" {
		return fmt.Errorf("%q is no flag of this command; `--help` lists them", name.Value)
	}
	if f.Changed {
		return nil
	}
	values := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		if _, isList := f.Value.(pflag.SliceValue); !isList {
			return fmt.Errorf("%s: one value is needed, not a list", name.Value)
		}
		values = value.Content
	}
	for _, v := range values {
		if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
			return fmt.Errorf("%s: a plain value is needed", name.Value)
		}
		if err := f.Value.Set(v.Value); err != nil {
			return fmt.Errorf("%s: %q: %w", name.Value, v.Value, err)
		}
	}
	f.Changed = true
	return nil
}
