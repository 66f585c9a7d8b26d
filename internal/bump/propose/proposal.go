package propose

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/bump/markdown"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// Proposal is the change of one commit or one pull request.
type Proposal struct {
	Name    string            // an app's or a group's: the branch is libre/NAME
	Title   string            // such as "docs: 5.4.0 -> 5.4.1"
	Body    string            // of the pull request, Markdown, such as from PullBody
	Message string            // of the commit, below the title: links
	Apps    map[string]string // app → proposed version, such as 5.4.1-1; an app has at most one pull request

	// Contents by path in the catalogue. After is based on the contents in Before. nil in Before
	// means that there is no file; nil in After deletes the file.
	Before, After map[string][]byte
}

// proposalName matches a name that can be part of a branch's name.
var proposalName = lazyregexp.New(`^[0-9A-Za-z_][0-9A-Za-z_-]*(?:\.[0-9A-Za-z_-]+)*$`)

// check refuses names that git or a mark could misunderstand.
func (p *Proposal) check() error {
	if !proposalName().MatchString(p.Name) || strings.HasSuffix(p.Name, ".lock") {
		return fmt.Errorf("proposal %q: the name cannot be part of a branch name", text.Name(p.Name))
	}
	for app, version := range p.Apps {
		if !alphabet().MatchString(app) || !alphabet().MatchString(version) {
			return fmt.Errorf("proposal %s: %q of %q, expected names and versions of [0-9A-Za-z._-]", p.Name, text.Name(version), text.Name(app))
		}
	}
	if len(p.After) == 0 {
		return fmt.Errorf("proposal %s changes no file", p.Name)
	}
	for name := range p.After {
		if !filepath.IsLocal(name) || filepath.Clean(name) != name || strings.ContainsRune(name, 0) {
			return fmt.Errorf("proposal %s: %q is not a file of the catalogue", p.Name, text.Name(name))
		}
	}
	return nil
}

// added returns the files that did not exist before.
func (p *Proposal) added() []string {
	var added []string
	for name := range p.After {
		if p.Before[name] == nil {
			added = append(added, name)
		}
	}
	return added
}

// title returns the title on one line. On a forge it mentions no user and no issue.
func (p *Proposal) title() string { return text.Clip(markdown.Defuse(text.Line(p.Title)), 200) }

// message returns the commit message. Forges show it too. Addresses in it are not changed.
func (p *Proposal) message() string {
	text := text.Plain(p.Message)
	var b strings.Builder
	at := 0
	for _, place := range markdown.AnyURL().FindAllStringIndex(text, -1) {
		b.WriteString(markdown.Defuse(text[at:place[0]]))
		address := text[place[0]:place[1]]
		if page := markdown.PageURL(address); page != "" {
			address = page
		} else {
			address = markdown.Defuse(address)
		}
		b.WriteString(address)
		at = place[1]
	}
	b.WriteString(markdown.Defuse(text[at:]))
	if text = strings.TrimSpace(b.String()); text != "" {
		return p.title() + "\n\n" + text + "\n"
	}
	return p.title() + "\n"
}
