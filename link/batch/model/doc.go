// Package model codes the rows of a table in as few bits as it can. It learns
// from the rows as they pass, the same at both ends, in integers only.
package model
