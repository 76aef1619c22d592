# SPDX-License-Identifier: GPL-2.0-only
# Job $1 of a shell: says which process it is, and works a little.
echo "$1=$$" >>/out/jobs
sh /tests/spin.sh 1 300
