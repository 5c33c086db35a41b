# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The tests of what fails around a transfer, at other calls, moments and places
# for each seed.

failures=$(dirname "$tests")/failures
FAULT_SEED=$SEED bats "$failures"/{calls-export,calls-import,moments,peers}.bats
