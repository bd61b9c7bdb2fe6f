// Package text writes what people read in messages, log lines and summaries:
// numbers, the beginning of long texts, and the name that somebody probably
// meant. It is pure, owns nothing, and imports nothing of this module.
package text
