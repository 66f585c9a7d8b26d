package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
)

func (e *env) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a shell completion script",
		Long: `Print the completion script of a shell. It also completes the names of the
catalogue's apps, components and variants, and groups of libre.yaml.`,
		Example:   "  source <(libre completion bash)\n  libre completion fish > ~/.config/fish/completions/libre.fish",
		Args:      takes(1, 1),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), e.options.Stdout
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			}
			return usageError{fmt.Errorf("shell %q, expected bash, zsh or fish", args[0])}
		},
	}
}

// completeSelection completes app, app/component and app/component/variant from
// the catalogue, and @group from libre.yaml.
func (e *env) completeSelection(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	none := cobra.ShellCompDirectiveNoFileComp
	ws, err := e.workspace()
	if err != nil {
		return nil, none
	}
	evaluation, err := ws.evaluate(cmd.Context(), nix.Request{Patterns: catalog.All})
	if err != nil {
		return nil, none
	}
	depth := strings.Count(typed, "/")
	seen := map[string]bool{}
	var words []string
	add := func(word string) {
		if !seen[word] && strings.HasPrefix(word, typed) {
			seen[word] = true
			words = append(words, word)
		}
	}
	for _, id := range catalog.IDs(evaluation.Apps) {
		add(strings.Join(strings.Split(id.String(), "/")[:min(depth+1, 3)], "/"))
	}
	if strings.HasPrefix(typed, "@") || typed == "" {
		for group := range ws.settings.Groups {
			add("@" + group)
		}
	}
	if len(words) == 1 && depth < 2 && !strings.HasPrefix(words[0], "@") {
		// A component or variant can follow: docs → docs/.
		return words, none | cobra.ShellCompDirectiveNoSpace
	}
	return words, none
}

// completeApp completes the name of an app, which is the first argument.
func (e *env) completeApp(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.Sorted(maps.Keys(e.appsToComplete(cmd.Context()))), cobra.ShellCompDirectiveNoFileComp
}

// appsToComplete returns the catalogue's apps, or none if it does not evaluate.
func (e *env) appsToComplete(ctx context.Context) map[string]catalog.App {
	ws, err := e.workspace()
	if err != nil {
		return nil
	}
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: catalog.All})
	if err != nil {
		return nil
	}
	return evaluation.Apps
}
