package bump

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/upstream"
)

// Proposal is what one commit, or one pull request, changes.
type Proposal struct {
	Name    string            // of an app or a group: the branch is libre/NAME
	Title   string            // such as "docs: 5.4.0 -> 5.4.1"
	Body    string            // of the pull request, Markdown, such as PullBody gives
	Message string            // of the commit, below the title: links
	Apps    map[string]string // app → what is proposed, such as 5.4.1-1; of no app there are two pull requests

	// Contents by path in the catalogue. Before has those that After is made from,
	// nil for no file; what is nil in After is deleted.
	Before, After map[string][]byte
}

// proposalName is a name that can be a part of a branch's.
var proposalName = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_-]*(?:\.[0-9A-Za-z_-]+)*$`)

// check refuses what git or a mark could take for something else.
func (p *Proposal) check() error {
	if !proposalName.MatchString(p.Name) || strings.HasSuffix(p.Name, ".lock") {
		return fmt.Errorf("proposal %q: the name cannot be part of a branch's", clip(p.Name, 80))
	}
	for app, version := range p.Apps {
		if !alphabet.MatchString(app) || !alphabet.MatchString(version) {
			return fmt.Errorf("proposal %s: %q of %q, expected names and versions of [0-9A-Za-z._-]", p.Name, clip(version, 80), clip(app, 80))
		}
	}
	if len(p.After) == 0 {
		return fmt.Errorf("proposal %s changes no file", p.Name)
	}
	for name := range p.After {
		if !filepath.IsLocal(name) || filepath.Clean(name) != name || strings.ContainsRune(name, 0) {
			return fmt.Errorf("proposal %s: %q is no file of the catalogue", p.Name, clip(name, 80))
		}
	}
	return nil
}

// title is the title on one line. What a forge would act on, a mention or a
// number of an issue, does nothing.
func (p *Proposal) title() string { return clip(Defuse(plainLine(p.Title)), 200) }

// message is that of the commit. A forge reads it as well; addresses stay whole.
func (p *Proposal) message() string {
	text := plainText(p.Message)
	var b strings.Builder
	at := 0
	for _, place := range anyURL.FindAllStringIndex(text, -1) {
		b.WriteString(Defuse(text[at:place[0]]))
		address := text[place[0]:place[1]]
		if page := pageURL(address); page != "" {
			address = page
		} else {
			address = Defuse(address)
		}
		b.WriteString(address)
		at = place[1]
	}
	b.WriteString(Defuse(text[at:]))
	if text = strings.TrimSpace(b.String()); text != "" {
		return p.title() + "\n\n" + text + "\n"
	}
	return p.title() + "\n"
}

// ProposerConfig is what a Proposer cannot know by itself.
type ProposerConfig struct {
	Client *upstream.Client
	Token  func(*url.URL) string // for git at a URL, "" where there is none
	Forge  string                // github or forgejo; "" is told from origin and the environment
	Base   string                // branch to propose to; "" is the usual one of origin
	Getenv func(string) string
}

// Proposer opens, updates and closes the pull requests of a catalogue, from
// branches of its origin. The index, the working tree and the branches here are
// not touched. It is not safe for concurrent use.
type Proposer struct {
	repository *Repository
	forge      forge
	base       string
	baseCommit string
	branches   map[string]string // of origin, with their commits
	open       []pull            // from branches below libre/
}

const branchPrefix = "libre/"

// NewProposer asks origin for its branches and the forge for its open pull
// requests, once for all proposals.
func NewProposer(ctx context.Context, repository *Repository, config ProposerConfig) (*Proposer, error) {
	location, err := repository.remoteURL(ctx)
	if err != nil {
		return nil, err
	}
	place, err := hostingOf(location, config.Forge, config.Getenv)
	if err != nil {
		return nil, err
	}
	p := &Proposer{repository: repository}
	if p.forge, err = place.open(config.Client); err != nil {
		return nil, err
	}
	repository.authorise(location, config.Token)
	remote, err := repository.remoteBranches(ctx)
	if err != nil {
		return nil, err
	}
	p.branches, p.base = remote.commits, remote.usual
	if config.Base != "" {
		p.base = config.Base
	}
	if p.baseCommit = p.branches[p.base]; p.baseCommit == "" {
		return nil, fmt.Errorf("origin has no branch %q to propose to: push it first", p.base)
	}
	wanted := []string{p.base}
	for _, branch := range slices.Sorted(maps.Keys(p.branches)) {
		if strings.HasPrefix(branch, branchPrefix) {
			wanted = append(wanted, branch)
		}
	}
	if err := repository.fetch(ctx, wanted); err != nil {
		return nil, err
	}
	all, err := p.forge.openPulls(ctx)
	if err != nil {
		return nil, err
	}
	for _, open := range all {
		if strings.HasPrefix(open.branch, branchPrefix) {
			p.open = append(p.open, open)
		}
	}
	return p, nil
}

// OutcomeKind says what became of a proposal.
type OutcomeKind string

const (
	Opened    OutcomeKind = "opened"
	Updated   OutcomeKind = "updated"   // the pull request that there was
	Unchanged OutcomeKind = "unchanged" // the pull request is as it should be
	Closed    OutcomeKind = "closed"    // by us
	Needless  OutcomeKind = "needless"  // the base has it already
	Declined  OutcomeKind = "declined"  // a person closed a pull request for the same
	Covered   OutcomeKind = "covered"   // a pull request for several apps is about it
	Occupied  OutcomeKind = "occupied"  // the branch has commits of others, which stay
)

// Outcome is what became of a proposal.
type Outcome struct {
	Kind   OutcomeKind `json:"kind"`
	Branch string      `json:"branch"`
	Number int         `json:"number,omitempty"` // of the pull request, 0 where there is none
	URL    string      `json:"url,omitempty"`
	Reason string      `json:"reason,omitempty"`
}

func (o Outcome) String() string {
	text := o.Branch + ": " + string(o.Kind)
	if o.URL != "" {
		text += " " + o.URL
	}
	if o.Reason != "" {
		text += ": " + o.Reason
	}
	return text
}

func outcome(kind OutcomeKind, p pull, reason string) Outcome {
	return Outcome{kind, p.branch, p.number, p.url, reason}
}

// Propose makes the pull request of a proposal what it should be: it is opened, or
// brought to this version and onto the base as it is now. Nothing is pushed and
// nothing changed where it is so already. What others pushed to the branch stays.
// Pull requests for some of the same apps and no other are closed.
func (p *Proposer) Propose(ctx context.Context, change *Proposal) (Outcome, error) {
	if err := change.check(); err != nil {
		return Outcome{}, err
	}
	branch := branchPrefix + change.Name
	tree, err := p.repository.tree(ctx, p.baseCommit, change)
	if stale := (*StaleError)(nil); errors.As(err, &stale) {
		stale.Branch = p.base
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("proposing %s: %w", change.Name, err)
	}
	base, err := p.repository.git(ctx, "rev-parse", p.baseCommit+"^{tree}")
	if err != nil {
		return Outcome{}, fmt.Errorf("proposing %s: %w", change.Name, err)
	}
	mine, others := p.find(branch, change.Apps)
	if tree == base {
		if mine == nil {
			return Outcome{Kind: Needless, Branch: branch, Reason: p.base + " has it"}, nil
		}
		return p.close(ctx, *mine, fmt.Sprintf("Not needed any more: %s has it.", p.base))
	}
	if blocked, err := p.blocked(ctx, branch, mine, others, change.Apps); err != nil || blocked != nil {
		return *blocked, err
	}
	moved, err := p.bring(ctx, branch, tree, change)
	if err != nil {
		return Outcome{}, err
	}
	wanted := pull{title: change.title(), body: marked(change.Body, change.Apps), branch: branch, base: p.base}
	kind := Unchanged
	switch {
	case mine == nil:
		kind, err = Opened, p.forge.create(ctx, &wanted)
	case moved || mine.base != p.base || !maps.Equal(readMark(mine.body), change.Apps):
		wanted.number, wanted.url = mine.number, mine.url
		kind, err = Updated, p.forge.edit(ctx, wanted)
	default:
		wanted = *mine
	}
	if err != nil {
		return Outcome{}, err
	}
	p.forget(branch)
	p.open = append(p.open, wanted)
	for _, other := range others {
		if _, err := p.close(ctx, other, fmt.Sprintf("Replaced by #%d.", wanted.number)); err != nil {
			return outcome(kind, wanted, ""), err
		}
	}
	return outcome(kind, wanted, ""), nil
}

// Withdraw closes the pull requests for which nothing is left to do, and deletes
// their branches: those whose apps are all among the given ones, for which there is
// nothing to propose. Of each the version is given that the base has.
func (p *Proposer) Withdraw(ctx context.Context, settled map[string]string) ([]Outcome, error) {
	var outcomes []Outcome
	var failures []error
	for _, open := range slices.Clone(p.open) {
		apps := readMark(open.body)
		if len(apps) == 0 || !within(apps, settled) {
			continue
		}
		var now []string
		for _, app := range slices.Sorted(maps.Keys(apps)) {
			now = append(now, markdownText(app+" "+settled[app]))
		}
		done, err := p.close(ctx, open, fmt.Sprintf("Not needed any more: %s has %s, and there is nothing to propose.", p.base, enumerate(now, ", ", 20)))
		if err != nil {
			failures = append(failures, err)
			continue
		}
		outcomes = append(outcomes, done)
	}
	return outcomes, errors.Join(failures...)
}

// find gives the open pull request of a branch, and those of other branches that
// are about some of the same apps.
func (p *Proposer) find(branch string, apps map[string]string) (mine *pull, others []pull) {
	for _, open := range p.open {
		if open.branch == branch {
			mine = &open
			continue
		}
		for app := range readMark(open.body) {
			if apps[app] != "" {
				others = append(others, open)
				break
			}
		}
	}
	return mine, others
}

// blocked says why nothing must be proposed, nil where something may be.
func (p *Proposer) blocked(ctx context.Context, branch string, mine *pull, others []pull, apps map[string]string) (*Outcome, error) {
	for _, other := range others {
		if !within(readMark(other.body), apps) {
			return &Outcome{Covered, branch, other.number, other.url, "it is proposed together with others"}, nil
		}
		if free, err := p.free(ctx, other.branch); err != nil || !free {
			return &Outcome{Occupied, branch, other.number, other.url, other.branch + " has commits that are not libre's: merge or close it first"}, err
		}
	}
	if mine == nil {
		closed, err := p.forge.closedPulls(ctx, branch)
		if err != nil {
			return &Outcome{}, err
		}
		for _, old := range closed {
			if old.branch == branch && !old.merged && !strings.Contains(old.body, closedMark) && maps.Equal(readMark(old.body), apps) {
				declined := outcome(Declined, old, "it was closed, and is proposed again with another version")
				return &declined, nil
			}
		}
		mine = &pull{branch: branch}
	}
	if free, err := p.free(ctx, branch); err != nil || !free {
		occupied := outcome(Occupied, *mine, "it has commits that are not libre's, they stay: merge it, or delete the branch")
		return &occupied, err
	}
	return nil, nil
}

// free tells whether a branch of origin holds nothing that would be lost: it is not
// there, or at a commit of ours, or at one that the base has.
func (p *Proposer) free(ctx context.Context, branch string) (bool, error) {
	tip := p.branches[branch]
	if tip == "" {
		return true, nil
	}
	last, err := p.repository.proposed(ctx, tip)
	if err != nil {
		return false, fmt.Errorf("looking at %s: %w", branch, err)
	}
	return last.ours || p.repository.contains(ctx, p.baseCommit, tip), nil
}

// bring makes a branch one commit on the base, with the tree. It tells whether that
// was to be done.
func (p *Proposer) bring(ctx context.Context, branch, tree string, change *Proposal) (bool, error) {
	tip := p.branches[branch]
	if tip != "" {
		last, err := p.repository.proposed(ctx, tip)
		if err != nil {
			return false, fmt.Errorf("looking at %s: %w", branch, err)
		}
		if last.ours && last.tree == tree && last.parent == p.baseCommit {
			return false, nil
		}
	}
	commit, err := p.repository.commitTree(ctx, tree, p.baseCommit, change.message())
	if err != nil {
		return false, fmt.Errorf("proposing %s: %w", change.Name, err)
	}
	if err := p.repository.push(ctx, branch, tip, commit); err != nil {
		return false, err
	}
	p.branches[branch] = commit
	return true, nil
}

// close closes a pull request and deletes its branch, unless others have commits
// there.
func (p *Proposer) close(ctx context.Context, open pull, comment string) (Outcome, error) {
	free, err := p.free(ctx, open.branch)
	if err != nil {
		return Outcome{}, err
	}
	if !free {
		return outcome(Occupied, open, "it is not needed any more, and stays open: it has commits that are not libre's"), nil
	}
	open.body = strings.TrimRight(open.body, "\r\n") + "\n" + closedMark + "\n"
	if err := p.forge.close(ctx, open, comment); err != nil {
		return Outcome{}, err
	}
	p.forget(open.branch)
	if tip := p.branches[open.branch]; tip != "" {
		if err := p.repository.push(ctx, open.branch, tip, ""); err != nil {
			return Outcome{}, err
		}
		delete(p.branches, open.branch)
	}
	return outcome(Closed, open, ""), nil
}

// forget drops a branch's pull request from the open ones.
func (p *Proposer) forget(branch string) {
	p.open = slices.DeleteFunc(p.open, func(open pull) bool { return open.branch == branch })
}

// within tells whether all apps of some are among others.
func within(some, others map[string]string) bool {
	for app := range some {
		if _, found := others[app]; !found {
			return false
		}
	}
	return true
}
