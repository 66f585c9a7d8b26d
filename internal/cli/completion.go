package cli

import (
	"context"
	"fmt"
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
func (e *env) completeSelection(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	words, directive := e.completePath(cmd.Context(), typed, 3)
	if ws, err := e.workspace(); err == nil {
		for group := range ws.settings.Groups {
			if strings.HasPrefix("@"+group, typed) {
				words, directive = append(words, "@"+group), cobra.ShellCompDirectiveNoFileComp
			}
		}
	}
	return words, directive
}

// completeOne completes the only argument: an app, or a component or an image of it, by how
// many parts it has at most.
func (e *env) completeOne(parts int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return e.completePath(cmd.Context(), typed, parts)
	}
}

// completePath completes the next part of app/component/variant, up to a number of parts.
func (e *env) completePath(ctx context.Context, typed string, parts int) ([]string, cobra.ShellCompDirective) {
	depth := strings.Count(typed, "/") + 1
	var words []string
	for _, id := range catalog.IDs(e.appsToComplete(ctx)) {
		word := strings.Join(strings.Split(id.String(), "/")[:min(depth, parts)], "/")
		if strings.HasPrefix(word, typed) && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if len(words) == 1 && depth < parts { // docs → docs/
		return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return words, cobra.ShellCompDirectiveNoFileComp
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
