package site

import (
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/lazyregexp"
)

// command is a command that a person types to use a release.
type command struct {
	Title string // a label
	About string // a label; what to know
	Text  string // lines for a shell
}

// commands use a release: images by digest, and the record by its tag, of which libre verifies
// that it was not moved.
func commands(app string, r *Release, signer string) []command {
	var pull, cosign []string
	for _, image := range r.Images {
		if image.Verified {
			pull = append(pull, "podman pull "+digested(image.Reference, image.Digest))
			cosign = append(cosign, image.Cosign)
		}
	}
	release := r.Reference + " " + signer
	all := []command{
		{"Pull", "The digest names the exact content. docker pull takes the same words.", lines(pull)},
		{"Verify", "Signatures, lists of contents and provenance of all images of the release.", "libre verify " + release},
		{"Verify with cosign", "", lines(cosign)},
	}
	if r.Document == nil || !hasServices(r.Document) {
		return all
	}
	sets := required(r.Document)
	return append(all,
		command{"Run", "On this machine, to try it, until you interrupt it.", "libre run " + release + sets},
		command{"Run with compose", "The same as a file, with a server for each need.", "libre render " + release + " --host " + app + ".localhost" + sets + " --format compose --output " + app + "\ncd " + app + " && podman compose up"},
		command{"Render", "The Kubernetes objects that run it.", "libre render " + release + " --host " + app + ".example.org" + sets + " --output " + app},
	)
}

// hasServices reports whether there is something to run.
func hasServices(document *describe.Application) bool {
	for _, component := range document.Spec.Components {
		if len(component.Services) > 0 {
			return true
		}
	}
	return false
}

func lines(all []string) string { return strings.Join(all, "\n") }

// digested is a reference by digest, without the tag.
func digested(reference, digest string) string {
	if i := strings.LastIndex(reference, ":"); i > strings.LastIndex(reference, "/") {
		reference = reference[:i]
	}
	return reference + "@" + digest
}

// envName is a variable's name, which needs no quotes in a shell.
var envName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// required are the words that set what an operator must set.
func required(document *describe.Application) string {
	var words strings.Builder
	for _, s := range allSettings(document) {
		if envName().MatchString(s.Name) && s.Required && !s.Secret && !s.Generate && s.Value == "" && s.Default == "" {
			words.WriteString(" --set " + s.Name + "=VALUE")
		}
	}
	return words.String()
}
