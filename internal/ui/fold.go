package ui

import (
	"fmt"
	"io"
)

// Fold is the way in which a CI system folds a part of its log.
type Fold string

const (
	NoFold     Fold = ""
	GitHubFold Fold = "github" // also of Forgejo and Gitea: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#grouping-log-lines
	GitLabFold Fold = "gitlab" // https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
)

// detectFold finds out which CI system shows the log.
func detectFold(getenv func(string) string) Fold {
	switch {
	case getenv("GITLAB_CI") == "true":
		return GitLabFold
	case getenv("GITHUB_ACTIONS") == "true", getenv("FORGEJO_ACTIONS") == "true", getenv("GITEA_ACTIONS") == "true":
		return GitHubFold
	}
	return NoFold
}

// openFold starts a fold with the lines of the progress. The caller holds mu.
func (u *UI) openFold() {
	switch u.fold() {
	case GitHubFold:
		io.WriteString(u.opts.Stderr, "::group::progress\n")
	case GitLabFold:
		u.folds++
		fmt.Fprintf(u.opts.Stderr, "\x1b[0Ksection_start:%d:libre_%d[collapsed=true]\r\x1b[0Kprogress\n", u.opts.Now().Unix(), u.folds)
	}
}

// closeFold ends the fold, because the next lines are for people who read the log.
func (u *UI) closeFold() {
	switch u.fold() {
	case GitHubFold:
		io.WriteString(u.opts.Stderr, "::endgroup::\n")
	case GitLabFold:
		fmt.Fprintf(u.opts.Stderr, "\x1b[0Ksection_end:%d:libre_%d\r\x1b[0K\n", u.opts.Now().Unix(), u.folds)
	}
}

func (u *UI) fold() Fold {
	if u.opts.StderrTerminal || u.opts.JSON || u.opts.Quiet {
		return NoFold
	}
	return u.opts.Fold
}
