"""Tests of digest trees and of the exchange."""
