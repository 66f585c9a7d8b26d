package nix

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// builderList is what Nix's settings say of the machines that build.
type builderList struct {
	here       []string // systems that this machine builds for
	builders   []remoteBuilder
	substitute bool // builders-use-substitutes: builders fetch what their own substituters have
}

// remoteBuilder is one line of Nix's setting "builders".
type remoteBuilder struct {
	address            string
	hook               string // URL of its store for Nix's build hook; "" if it is not reached by ssh
	store              string // URL of its store, ssh-ng://…; "" if libre cannot build in it
	systems, features  []string
	onlyForItsFeatures bool // it has mandatory features
}

// listBuilders returns what Nix's settings say.
func listBuilders(settings map[string]string) *builderList {
	list := &builderList{substitute: settings["builders-use-substitutes"] == "true"}
	if settings["max-jobs"] != "0" {
		list.here = append(strings.Fields(settings["extra-platforms"]), settings["system"])
	}
	list.builders = parseBuilders(settings)
	return list
}

// parseBuilders reads the setting "builders". Entries end with a newline or a semicolon, and
// @FILE stands for the entries of a file. A list with files that name files is left to Nix.
// https://nixos.org/manual/nix/stable/advanced-topics/distributed-builds
func parseBuilders(settings map[string]string) (builders []remoteBuilder) {
	for _, entry := range builderEntries(settings["builders"]) {
		file, isFile := strings.CutPrefix(entry, "@")
		if !isFile {
			builders = append(builders, parseBuilder(strings.Fields(entry), settings))
			continue
		}
		text, _ := os.ReadFile(file) // /etc/nix/machines need not exist
		for _, entry := range builderEntries(string(text)) {
			if strings.HasPrefix(entry, "@") {
				return nil
			}
			builders = append(builders, parseBuilder(strings.Fields(entry), settings))
		}
	}
	return builders
}

// builderEntries returns the entries without comments.
func builderEntries(value string) (entries []string) {
	for line := range strings.Lines(value) {
		line, _, _ = strings.Cut(line, "#")
		for entry := range strings.SplitSeq(line, ";") {
			if entry = strings.TrimSpace(entry); entry != "" {
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

// parseBuilder reads the columns of an entry: the address, systems, the file of a key, jobs,
// speed, features, mandatory features and the public key of the host. "-" stands for none. It
// leaves what it cannot read to Nix, which says why.
func parseBuilder(columns []string, settings map[string]string) remoteBuilder {
	column := func(i int) string {
		if i < len(columns) && columns[i] != "-" {
			return columns[i]
		}
		return ""
	}
	hook := hookStore(columns[0], column(2), column(7))
	store := daemonStore(hook, daemon(settings, column(3)))
	for _, number := range []string{column(3), column(4)} {
		if _, err := strconv.ParseFloat(cmp.Or(number, "1"), 64); err != nil {
			store = ""
		}
	}
	return remoteBuilder{
		address:            columns[0],
		hook:               hook,
		store:              store,
		systems:            listed(cmp.Or(column(1), settings["system"])),
		features:           listed(column(5)),
		onlyForItsFeatures: column(6) != "",
	}
}

func listed(words string) []string {
	return strings.FieldsFunc(words, func(r rune) bool { return r == ',' })
}

// daemon returns the command that a builder runs, with its number of jobs from the list; "" if it
// has none. Nix does not send these settings. They hold if the command itself builds; a daemon
// behind it has its own.
func daemon(settings map[string]string, jobs string) string {
	command := "nix-daemon --keep-going"
	for _, limit := range [][2]string{{"max-jobs", jobs}, {"max-silent-time", settings["max-silent-time"]}, {"timeout", settings["timeout"]}} {
		if number, err := strconv.ParseUint(limit[1], 10, 64); err == nil && number > 0 {
			command += fmt.Sprintf(" --%s %d", limit[0], number)
		}
	}
	return command
}

// hookStore returns the URL of a builder's store for Nix's build hook; "" if it is not reached by
// ssh.
func hookStore(address, key, hostKey string) string {
	if !strings.Contains(address, "://") {
		address = "ssh://" + address
	}
	store, err := url.Parse(address)
	if err != nil || store.Scheme != "ssh" && store.Scheme != "ssh-ng" || store.Host == "" {
		return ""
	}
	query := store.Query()
	if key != "" {
		query.Set("ssh-key", key)
	}
	if hostKey != "" {
		query.Set("base64-ssh-public-host-key", hostKey)
	}
	store.RawQuery = nixQuery(query)
	return store.String()
}

// daemonStore returns the URL of the same store by the command of a daemon; "" if the builder has
// a program of its own.
func daemonStore(hook, daemon string) string {
	store, err := url.Parse(hook)
	if err != nil || hook == "" || store.Query().Has("remote-program") {
		return ""
	}
	query := store.Query()
	query.Set("remote-program", daemon)
	store.Scheme, store.RawQuery = "ssh-ng", nixQuery(query)
	return store.String()
}

// nixQuery encodes a query as Nix reads it, which does not read + as a space.
func nixQuery(query url.Values) string { return strings.ReplaceAll(query.Encode(), "+", "%20") }

// divide assigns each output to the builder that alone can build what is missing for it, and all
// others to nil.
func (l *builderList) divide(outputs []Output, missing Graph) map[*remoteBuilder][]Output {
	parts := map[*remoteBuilder][]Output{}
	for _, output := range outputs {
		builder := l.only(missing, missing.Below(output.Drv))
		parts[builder] = append(parts[builder], output)
	}
	return parts
}

// builtin is the system of a derivation that Nix itself runs, on any machine.
const builtin = "builtin"

// only returns the builder that alone can build derivations, by their nodes in a graph; nil if
// this machine or another one can build one of them too, or if none can.
func (l *builderList) only(graph Graph, drvs map[string]int) *remoteBuilder {
	var only *remoteBuilder
	for drv := range drvs {
		node := graph[drv]
		if node.System == builtin {
			continue
		}
		if slices.Contains(l.here, node.System) {
			return nil
		}
		for i := range l.builders {
			builder := &l.builders[i]
			if !slices.Contains(builder.systems, node.System) {
				continue
			}
			if only != nil && only != builder || !builder.takes(node) {
				return nil
			}
			only = builder
		}
		if only == nil || !slices.Contains(only.systems, node.System) {
			return nil
		}
	}
	return only
}

// takes reports whether a builder builds a derivation of its system.
func (b *remoteBuilder) takes(node Node) bool {
	return b.store != "" && !b.onlyForItsFeatures && !slices.ContainsFunc(node.Features, func(feature string) bool { return !slices.Contains(b.features, feature) })
}

// requiredFeatures returns the system features that a derivation needs, from its environment.
func requiredFeatures(env map[string]string) []string {
	if structured, there := env["__json"]; there {
		var attributes struct {
			RequiredSystemFeatures []string `json:"requiredSystemFeatures"`
		}
		_ = json.Unmarshal([]byte(structured), &attributes)
		return attributes.RequiredSystemFeatures
	}
	return strings.Fields(env["requiredSystemFeatures"])
}
