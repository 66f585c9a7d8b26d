// Package propose makes a commit from changed files, or a pull request that it keeps up to
// date.
package propose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/bump/markdown"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/upstream"
)

// ProposerConfig is what a Proposer needs from its caller.
type ProposerConfig struct {
	Client *upstream.Client
	Token  func(*url.URL) string // for git at a URL, "" for none
	Forge  string                // github, forgejo or gitlab; "" to derive it from origin and the environment
	Base   string                // the branch to propose to; "" is origin's default branch
	Getenv func(string) string   // nil is os.Getenv
}

// Proposer opens, updates and closes the pull requests of a catalogue. Their branches are in
// its origin. It changes neither the index, the working tree nor local branches. It is not safe
// for concurrent use.
type Proposer struct {
	repository *Repository
	forge      forge
	base       string
	baseCommit string
	branches   map[string]string // of origin, with their commits
	open       []pull            // from branches below libre/
}

const branchPrefix = "libre/"

// NewProposer reads origin's branches and the forge's open pull requests, once for all
// proposals.
func NewProposer(ctx context.Context, repository *Repository, config ProposerConfig) (*Proposer, error) {
	opened, location, err := openForge(ctx, repository, config, "contents and pull requests")
	if err != nil {
		return nil, err
	}
	p := &Proposer{repository: repository, forge: opened}
	repository.authorise(location, config.Token)
	there, err := repository.remoteBranches(ctx)
	if err != nil {
		return nil, err
	}
	p.branches, p.base = there.commits, cmp.Or(config.Base, there.usual)
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

// openForge finds the forge of origin. access is the access that its token must have. It also
// returns origin's URL.
func openForge(ctx context.Context, repository *Repository, config ProposerConfig, access string) (forge, string, error) {
	location, err := repository.remoteURL(ctx)
	if err != nil {
		return nil, "", err
	}
	getenv := config.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	place, err := upstream.HostingOf(location, config.Forge, getenv)
	if err != nil {
		return nil, "", fmt.Errorf("origin %w", err)
	}
	opened, err := hosting{place, access}.open(config.Client)
	return opened, location, err
}

// OutcomeKind is the result of a proposal.
type OutcomeKind string

const (
	Opened    OutcomeKind = "opened"
	Updated   OutcomeKind = "updated"   // the existing pull request was updated
	Unchanged OutcomeKind = "unchanged" // the pull request is up to date
	Closed    OutcomeKind = "closed"    // libre closed it
	Needless  OutcomeKind = "needless"  // the base already has it
	Declined  OutcomeKind = "declined"  // a person closed a pull request for the same versions
	Covered   OutcomeKind = "covered"   // a pull request for several apps includes them
	Occupied  OutcomeKind = "occupied"  // the branch has commits of others, which are kept
)

// Outcome is the result of a proposal.
type Outcome struct {
	Kind   OutcomeKind `json:"kind"`
	Branch string      `json:"branch"`
	Number int         `json:"number,omitempty"` // of the pull request, 0 for none
	URL    string      `json:"url,omitempty"`
	Reason string      `json:"reason,omitempty"`
}

func (o Outcome) String() string { return describeOutcome(o.Branch, o.Kind, o.URL, o.Reason) }

func describeOutcome(name string, kind OutcomeKind, url, reason string) string {
	text := name + ": " + string(kind)
	if url != "" {
		text += " " + url
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

func outcome(kind OutcomeKind, p pull, reason string) Outcome {
	return Outcome{kind, p.branch, p.number, p.url, reason}
}

// Propose opens the pull request of a proposal, or updates it to this version and to the
// current base. If it is up to date, nothing is pushed or changed. Commits that others pushed
// to the branch are kept. It closes older pull requests for a subset of the same apps.
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
		return p.close(ctx, *mine, fmt.Sprintf("No longer needed: %s has it.", p.base))
	}
	if blocked, err := p.blocked(ctx, branch, mine, others, change.Apps); err != nil || blocked.Kind != "" {
		return blocked, err
	}
	moved, err := p.updateBranch(ctx, branch, tree, change)
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
	p.dropOpen(branch)
	p.open = append(p.open, wanted)
	for _, other := range others {
		if _, err := p.close(ctx, other, fmt.Sprintf("Replaced by %s.", p.forge.reference(wanted.number))); err != nil {
			return outcome(kind, wanted, ""), err
		}
	}
	return outcome(kind, wanted, ""), nil
}

// Withdraw closes the pull requests that are no longer needed, and deletes their branches.
// These are the pull requests whose apps are all settled. settled has the base's version of
// each app.
func (p *Proposer) Withdraw(ctx context.Context, settled map[string]string) ([]Outcome, error) {
	var outcomes []Outcome
	var failures []error
	for _, open := range slices.Clone(p.open) {
		apps := readMark(open.body)
		if len(apps) == 0 || !isSubset(apps, settled) {
			continue
		}
		var now []string
		for _, app := range slices.Sorted(maps.Keys(apps)) {
			now = append(now, markdown.Escape(app+" "+settled[app]))
		}
		done, err := p.close(ctx, open, fmt.Sprintf("No longer needed: %s has %s, and there is nothing to propose.", p.base, text.Enumerate(now, ", ", 20)))
		if err != nil {
			failures = append(failures, err)
			continue
		}
		outcomes = append(outcomes, done)
	}
	return outcomes, errors.Join(failures...)
}

// find returns the open pull request of a branch, and those of other branches for some of
// the same apps.
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

// blocked returns the reason why nothing may be proposed. Its kind is empty if there is none.
func (p *Proposer) blocked(ctx context.Context, branch string, mine *pull, others []pull, apps map[string]string) (Outcome, error) {
	for _, other := range others {
		if !isSubset(readMark(other.body), apps) {
			return Outcome{Covered, branch, other.number, other.url, "it is part of a proposal for several apps"}, nil
		}
		if free, err := p.isDisposable(ctx, other.branch); err != nil {
			return Outcome{}, err
		} else if !free {
			return Outcome{Occupied, branch, other.number, other.url, other.branch + " has commits that are not libre's: merge or close it first"}, nil
		}
	}
	if mine == nil {
		closed, err := p.forge.closedPulls(ctx, branch)
		if err != nil {
			return Outcome{}, err
		}
		for _, old := range closed {
			if old.branch == branch && !old.merged && !strings.Contains(old.body, closedMark) && maps.Equal(readMark(old.body), apps) {
				return outcome(Declined, old, "it was closed; only another version will be proposed"), nil
			}
		}
		mine = &pull{branch: branch}
	}
	if free, err := p.isDisposable(ctx, branch); err != nil || free {
		return Outcome{}, err
	}
	return outcome(Occupied, *mine, "it has commits that are not libre's: merge it, or delete the branch"), nil
}

// isDisposable reports whether a branch of origin can be replaced without loss: it does not
// exist, or its last commit is libre's or is contained in the base.
func (p *Proposer) isDisposable(ctx context.Context, branch string) (bool, error) {
	tip := p.branches[branch]
	if tip == "" {
		return true, nil
	}
	last, err := p.repository.proposed(ctx, tip)
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", branch, err)
	}
	return last.ours || p.repository.contains(ctx, p.baseCommit, tip), nil
}

// updateBranch sets a branch to one commit on the base, with the tree. It reports whether the
// branch had to change.
func (p *Proposer) updateBranch(ctx context.Context, branch, tree string, change *Proposal) (bool, error) {
	tip := p.branches[branch]
	if tip != "" {
		last, err := p.repository.proposed(ctx, tip)
		if err != nil {
			return false, fmt.Errorf("reading %s: %w", branch, err)
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

// close closes a pull request and deletes its branch, unless others have commits there.
func (p *Proposer) close(ctx context.Context, open pull, comment string) (Outcome, error) {
	free, err := p.isDisposable(ctx, open.branch)
	if err != nil {
		return Outcome{}, err
	}
	if !free {
		return outcome(Occupied, open, "it is no longer needed, but stays open: it has commits that are not libre's"), nil
	}
	open.body = strings.TrimRight(open.body, "\r\n") + "\n" + closedMark + "\n"
	if err := p.forge.close(ctx, open, comment); err != nil {
		return Outcome{}, err
	}
	p.dropOpen(open.branch)
	if tip := p.branches[open.branch]; tip != "" {
		if err := p.repository.push(ctx, open.branch, tip, ""); err != nil {
			return Outcome{}, err
		}
		delete(p.branches, open.branch)
	}
	return outcome(Closed, open, ""), nil
}

// dropOpen removes a branch's pull request from the open ones.
func (p *Proposer) dropOpen(branch string) {
	p.open = slices.DeleteFunc(p.open, func(open pull) bool { return open.branch == branch })
}

// isSubset reports whether all apps in some are in others.
func isSubset(some, others map[string]string) bool {
	for app := range some {
		if _, found := others[app]; !found {
			return false
		}
	}
	return true
}
