package cli

import (
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/kube"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/run/engine"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/vex"
	nixcode "github.com/libresh/libre/nix"
)

// These tables say how shells complete the values of flags. A key is a flag that means the
// same in all commands, or a command and its flag.

// fixedValues has the words that a flag accepts.
var fixedValues = map[string][]string{
	"also-tag":           {"latest", "{major}", "{major}.{minor}"},
	"ci":                 nixcode.Forges,
	"cosign-policy":      {"kyverno", "policy-controller"},
	"diff output-format": {"table", "markdown"},
	"engine":             engine.Names,
	"fail-on":            wordsOf(scan.Rated...),
	"format":             slices.Sorted(maps.Keys(renderFormats)),
	"justification":      vex.Justifications,
	"load":               {"docker", "podman"},
	"log-format":         {"text", "json"},
	"needs":              kube.Providers(),
	"package-set":        {nix.Nixpkgs, nix.HostPackageName},
	"scan output-format": {"table", "sarif", "cyclonedx-vdr", "markdown"},
	"sbom output-format": {"table", "cyclonedx-json", "spdx-json"},
	"show output-format": {"yaml", "json"},
	"vex output-format":  {"table", "openvex", "cyclonedx"},
	"status":             wordsOf(vex.NotAffected, vex.Affected, vex.UnderInvestigation, vex.Fixed),
	"system":             systemsOfImages,
	"build system":       append(slices.Clone(systemsOfImages), allSystems),
	"plan system":        append(slices.Clone(systemsOfImages), allSystems),
}

// takesFile and takesFolder list flags with a path. The flags in takesAny accept other
// values too.
var (
	takesFile   = []string{"archive", "containerfile", "cpuprofile", "key", "notices", "plan", "summary", "trace", "trusted-root", "values", "yes"}
	takesFolder = []string{"directory", "output", "site", "writable"}
	takesAny    = []string{"db", "from"}
)

// completeFlags makes shells complete the values of all flags of a command and its
// subcommands.
func (e *env) completeFlags(cmd *cobra.Command) {
	register := func(flag *pflag.Flag) {
		if flag.Value.Type() != "bool" {
			_ = cmd.RegisterFlagCompletionFunc(flag.Name, e.valuesOf(cmd.Name(), flag.Name)) // the flag exists
		}
	}
	cmd.PersistentFlags().VisitAll(register)
	cmd.Flags().VisitAll(register)
	for _, below := range cmd.Commands() {
		e.completeFlags(below)
	}
}

// valuesOf returns how to complete a command's flag.
func (e *env) valuesOf(command, flag string) cobra.CompletionFunc {
	for _, key := range []string{command + " " + flag, flag} {
		if words := fixedValues[key]; words != nil {
			return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
		}
	}
	fromCatalogue := map[string]cobra.CompletionFunc{
		"input": e.completeInput, "set": e.completeSetting, "to": e.completeRegistry, "variant": e.completeVariant, "with": e.completeOptional,
	}
	switch {
	case fromCatalogue[flag] != nil:
		return fromCatalogue[flag]
	case slices.Contains(takesFolder, flag):
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	case slices.Contains(takesFile, flag), slices.Contains(takesAny, flag):
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	}
	return cobra.NoFileCompletions
}

func wordsOf[W ~string](of ...W) []string {
	var words []string
	for _, word := range of {
		words = append(words, string(word))
	}
	return words
}

// completeVariant completes the variants of the app that was typed, apart from the built-in
// ones.
func (e *env) completeVariant(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var variants []string
	if len(args) > 0 {
		variants = e.appsToComplete(cmd.Context())[args[0]].Variants
	}
	return variants[min(len(variants), 2):], cobra.ShellCompDirectiveNoFileComp
}

// completeRegistry completes the registries of libre.yaml.
func (e *env) completeRegistry(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	ws, err := e.registryWorkspace()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return ws.settings.Registries(), cobra.ShellCompDirectiveNoFileComp
}

// completeInput completes the inputs of the catalogue's flake.
func (e *env) completeInput(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	ws, err := e.workspace()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	lock, err := os.ReadFile(filepath.Join(ws.dir, "flake.lock"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	inputs, _ := nix.ReadLock(lock) // none of a lock that is wrong
	return slices.Sorted(maps.Keys(inputs)), cobra.ShellCompDirectiveNoFileComp
}

// completeSetting completes NAME= of the settings of the app that was typed.
func (e *env) completeSetting(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	spec := e.specToComplete(cmd, args)
	names := map[string]bool{}
	add := func(config map[string]describe.Setting) {
		for name := range config {
			names[name+"="] = true
		}
	}
	add(spec.Config)
	for _, component := range spec.Components {
		for _, service := range component.Services {
			add(service.Config)
		}
	}
	return slices.Sorted(maps.Keys(names)), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeOptional completes the optional needs and services of the app that was typed.
func (e *env) completeOptional(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	spec := e.specToComplete(cmd, args)
	names := map[string]bool{}
	for name, need := range spec.Needs {
		names[name] = need.Optional
	}
	for _, component := range spec.Components {
		for name, service := range component.Services {
			names[name] = names[name] || service.Optional
		}
	}
	maps.DeleteFunc(names, func(_ string, optional bool) bool { return !optional })
	return slices.Sorted(maps.Keys(names)), cobra.ShellCompDirectiveNoFileComp
}

// specToComplete describes the app of the catalogue that was typed. It is empty if there is
// no such app.
func (e *env) specToComplete(cmd *cobra.Command, args []string) describe.Spec {
	if len(args) == 0 || isReference(args[0]) {
		return describe.Spec{}
	}
	application, _, err := e.catalogueApplication(cmd.Context(), cmd.Name(), args)
	if err != nil {
		return describe.Spec{}
	}
	return application.Spec
}
